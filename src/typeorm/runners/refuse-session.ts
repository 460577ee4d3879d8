import { ShardedError } from '../../errors/sharded-error'
import type { TableCatalog } from '../../routing/table-catalog'
import { loadParser } from '../../sql/parser'
import type { EndStatement, SessionStatement } from '../../sql/session-statement'
import { mayChangeSession, sessionText, type TextPart } from '../../sql/session-text'
import { isTreeObject, visit } from '../../sql/tree'
import { resolveConfig } from './resolved-config'

/** A statement about the session that cannot hold on several nodes. */
export const refuseSession = (what: string, why: string): ShardedError =>
  new ShardedError('SESSION_STATEMENT_UNSUPPORTED', `${what} is not understood over shards: ${why}.`, {
    details: { statement: what },
    labels: ['no-writes'],
  })

/**
 * Statements that one server keeps, and functions that change its session, are the home node's: over shards they would
 * do it on each node, in sessions that nobody asks again.
 *
 * @throws ShardedError SESSION_STATEMENT_UNSUPPORTED
 */
export function refuseOverShards(parts: readonly TextPart[], catalog: TableCatalog | undefined): void {
  if (!catalog) return
  for (const { node, session } of parts) {
    const made = session?.kind === 'kept' ? session.makes : undefined
    if (made !== undefined && catalog.names.includes(made))
      throw refuseSession(
        `CREATE TEMPORARY of the name ${made}`,
        'the sharded table has that name, and statements mean it; give the temporary one another',
      )
    // The value of a setting may be a subquery.
    const what = session?.kind === 'config' ? 'set_config()' : session?.kind === 'kept' ? session.what : undefined
    if (what === undefined) continue
    const [table] = shardedTables(node, catalog)
    if (table !== undefined)
      throw refuseSession(`${what} with the sharded table ${table}`, 'it would happen on every node by itself')
  }
}

/** Sharded tables that a tree names. */
export function shardedTables(tree: unknown, catalog: TableCatalog): readonly string[] {
  const found: string[] = []
  visit(tree, ({ RangeVar: table }) => {
    if (!isTreeObject(table)) return undefined
    const name = String(table['relname'] ?? '')
    const schema = table['schemaname']
    if (catalog.table(typeof schema === 'string' ? schema : undefined, name)) found.push(name)
    return undefined
  })
  return found
}

/**
 * A text of no runner's may change nothing of its session that is there afterwards.
 *
 * @throws ShardedError SESSION_NEEDS_RUNNER
 */
export async function refuseSessionOf(text: string, parameters: unknown): Promise<void> {
  if (!mayChangeSession(text)) return
  await loadParser()
  refuseWithoutRunner(sessionText(text) ?? [], Array.isArray(parameters) ? parameters : [])
}

/**
 * Whether a text that `mayChangeSession` leaves something in its session that the next holder of the connection must not find. A transaction is seen at
 * the connection itself.
 */
export async function staysBehind(text: string, parameters: unknown): Promise<boolean> {
  await loadParser()
  const values = Array.isArray(parameters) ? parameters : []
  return (sessionText(text) ?? []).some(
    ({ session }) => session && !controls.has(session.kind) && leftBehind(session, values) !== undefined,
  )
}

function refuseWithoutRunner(parts: readonly TextPart[], parameters: readonly unknown[]): void {
  const [first, last] = [parts[0]?.session, parts.at(-1)?.session]
  const isWhole = first?.kind === 'begin' && isEnd(last) && !last.chain
  for (const { session } of parts) {
    const what = session && (isWhole && isControl(session) ? undefined : leftBehind(session, parameters))
    if (what === undefined) continue
    throw new ShardedError('SESSION_NEEDS_RUNNER', `${what} is sent on no query runner of its own.`, {
      details: { statement: what },
    })
  }
}

const isEnd = (session: SessionStatement | undefined): session is EndStatement =>
  session?.kind === 'commit' || session?.kind === 'rollback'

/** Words for what a statement leaves in its session, or needs to find there; undefined where there is no such thing. */
function leftBehind(session: SessionStatement, parameters: readonly unknown[]): string | undefined {
  if (controls.has(session.kind)) return `The transaction control ${session.kind.toUpperCase().replace('-', ' ')}`
  switch (session.kind) {
    case 'setting':
      return session.isLocal || session.resets ? undefined : `SET ${session.name}`
    case 'config':
      return resolveConfig(session.calls, parameters)?.every(({ isLocal }) => isLocal) ? undefined : 'set_config()'
    case 'kept':
      return session.leaks || session.sets ? session.what : undefined
    case 'foreign':
      return session.what
    default:
      return undefined
  }
}

const controls: ReadonlySet<string> = new Set(['begin', 'commit', 'rollback', 'savepoint', 'release', 'rollback-to'])

/** Whether a statement begins, ends or divides a transaction. */
export const isControl = (session: SessionStatement | undefined): boolean =>
  session !== undefined && (controls.has(session.kind) || session.kind === 'foreign')
