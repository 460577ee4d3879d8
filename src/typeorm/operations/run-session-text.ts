import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError } from '../../errors/sharded-error'
import type { TableCatalog } from '../../routing/table-catalog'
import type { TextPart } from '../../sql/session-text'
import { isControl, shardedTables } from '../runners/refuse-session'
import type { RunnerSession } from './runner-session'
import { settingOf } from './session-control'

interface SessionText {
  readonly runner: RunnerSession['runner'] & { query(text: string): Promise<unknown> }
  readonly session: RunnerSession
  readonly parts: readonly TextPart[]
  readonly parameters: readonly unknown[]
  readonly catalog: TableCatalog | undefined
}

/**
 * Runs a text of several statements of which some are about the session: one after the other, where each stands in a
 * transaction that the text, or the caller, has begun. PostgreSQL makes one transaction of others: they go to the home node
 * as they are, if they name nothing that is elsewhere.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED where statements stand outside of it
 */
export async function runSessionText(
  text: string,
  { runner, session, parts, parameters, catalog }: SessionText,
): Promise<QueryResult> {
  // With parameters it is an error of PostgreSQL's.
  if (parameters.length > 0) return runner.atHome(text, parameters)
  if (isEnclosed(parts, session.transaction.isActive)) {
    for (const part of parts) await runner.query(part.text)
    return new QueryResult()
  }
  const isOfHome = parts.every((part) => !isControl(part.session) && !(catalog && shardedTables(part.node, catalog)[0]))
  if (!isOfHome)
    throw new ShardedError(
      'STATEMENT_UNSUPPORTED',
      'The text has several statements, and not all of them stand between its BEGIN and COMMIT.',
      { details: { statement: text.slice(0, 500) } },
    )
  const result = await runner.atHome(text)
  for (const part of parts) note(session, part)
  return result
}

/** What the home node's session has of a statement that it was sent. */
function note(host: RunnerSession, { text, session }: TextPart): void {
  if (session?.kind === 'setting' && !session.isLocal) host.transaction.script.keep(settingOf(text, session))
  else if (session?.kind === 'kept') host.noteKept(session)
  else if (session?.kind === 'config')
    host.noteKept({ kind: 'kept', what: 'set_config()', leaks: true, isPreparable: true, sets: true })
}

/** Statements are in a transaction, or are about the session alone. */
function isEnclosed(parts: readonly TextPart[], isActive: boolean): boolean {
  let inside = isActive
  return parts.every(({ session }) => {
    if (session?.kind === 'begin') inside = true
    const isIn = inside
    if (session?.kind === 'commit' || session?.kind === 'rollback') inside = session.chain
    return isIn || session?.kind === 'setting' || session?.kind === 'config'
  })
}
