import { type DataSource, QueryFailedError } from 'typeorm'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { NodePool } from '../../endpoints/node-pool'
import { isServerRefusal } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import type { TableCatalog } from '../../routing/table-catalog'
import { localSetting } from '../../sql/local-setting'
import type { KeptStatement, SettingStatement } from '../../sql/session-statement'
import type { TextPart } from '../../sql/session-text'
import type { NodeTransaction } from '../../transactions/node-transaction'
import type { HeldSetting } from '../../transactions/session-script'
import { isExactChange } from '../../values/exact-setting'
import { isControl, shardedTables } from '../runners/refuse-session'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { TransactionControl } from './transaction-control'

export interface Telling {
  /** The text for the home node, where it is sent now. */
  readonly text: string
  readonly parameters?: readonly unknown[]
  /** Where no node is open yet, the setting waits for the first that opens: no server would refuse it. */
  readonly mayWait: boolean
}

/** The query runner whose session it is. */
interface SessionRunner {
  readonly runtime: ShardRuntime
  readonly homePool: NodePool
  readonly dataSource: DataSource
  /** The connection to the home node that the runner keeps; undefined while it keeps none. */
  readonly ownConnection: NodeConnection | undefined
  /** Begins a transaction. @throws QueryRunnerAlreadyReleasedError */
  start(isolation: string | undefined): Promise<void>
  /** Sends a text as it is to the home node. */
  atHome(text: string, parameters?: readonly unknown[]): Promise<QueryResult>
}

/** The session of a query runner, as statements about it see it: the home node's, whose settings every node of a transaction gets. */
export class RunnerSession {
  /** The home node's session has what no next holder must have. */
  private isChanged = false

  constructor(
    readonly runner: SessionRunner,
    readonly transaction: TransactionControl,
  ) {}

  /** False behind a pooler in transaction mode, where a setting that outlives the transaction changes another client's session. */
  get hasLastingSession(): boolean {
    return this.runner.homePool.pooling !== 'transaction'
  }

  /** False behind a pooler that keeps sessions: a RESET gives back what its server has, and not what all sessions here have. */
  get resetsExactly(): boolean {
    return this.runner.homePool.pooling !== 'session'
  }

  /** The connection is not to be used by another holder as it is. */
  get hasLeftovers(): boolean {
    return this.isChanged || this.transaction.script.ofSession.length > 0
  }

  /** Sends a setting to every open node, and to those that join later. @returns the home node's answer, if it was sent there */
  async tell(setting: HeldSetting, { text, parameters, mayWait }: Telling): Promise<QueryResult | undefined> {
    const { nodes, script } = this.transaction
    const { map, transactions } = this.runner.runtime
    const isSingle = transactions.mode === 'single-shard'
    const waits = (mayWait || (isSingle && !setting.isOfSession)) && nodes.isEmpty
    if (!waits && (setting.isOfSession || nodes.isEmpty)) await nodes.open(map.home)
    const open = await nodes.settled()
    script.hold(setting)
    try {
      const result = open.some(({ isHome }) => isHome) ? await this.runner.atHome(text, parameters) : undefined
      const { localText } = setting
      if (localText !== undefined)
        for (const node of open) if (!node.isHome) await tellNode(node.transaction, localText)
      return result
    } catch (error) {
      script.drop(setting)
      throw error
    }
  }

  /** Notes that the home node alone has done something of this kind. */
  noteKept({ what, leaks, isPreparable }: KeptStatement): void {
    if (leaks) this.isChanged = true
    if (isPreparable) return
    // Temporary tables may be read again in any later transaction.
    this.transaction.noteUnpreparable({ isOfSession: leaks })
    // PostgreSQL gives a transaction no id for a notification, which goes out when it commits all the same.
    const { ownConnection } = this.runner
    if (this.transaction.isActive && ownConnection && what.toLowerCase().includes('notify'))
      ownConnection.hasWritten = true
  }

  /** Constraints of sharded tables among those of the names. */
  shardedConstraints(names: readonly string[]): readonly string[] {
    const { runtime, dataSource } = this.runner
    const constraints = dataSource.entityMetadatas
      .filter(({ target }) => runtime.bindingOf(target))
      .flatMap(({ foreignKeys, uniques, exclusions }) => [...foreignKeys, ...uniques, ...exclusions])
    return names.filter((name) => constraints.some((one) => one.name === name))
  }
}

/** By TypeORM's error, as the home node's own connection would. */
async function tellNode({ connection, node }: NodeTransaction, text: string): Promise<void> {
  try {
    await connection.query(text, undefined, undefined)
  } catch (error) {
    throw isServerRefusal(error) ? new QueryFailedError(text, [], Object.assign(error, { node })) : error
  }
}

export const local = { resets: false, isOfSession: false, isExact: true, isMode: false } as const

export const resetAll: SettingStatement = Object.freeze({
  kind: 'setting',
  name: undefined,
  value: undefined,
  isLocal: false,
  resets: true,
})

/** The connection lacks what those of all sessions have. */
export const inexactReset: KeptStatement = Object.freeze({
  kind: 'kept',
  what: 'RESET',
  leaks: true,
  isPreparable: true,
  sets: false,
})

/** A call of `set_config` with arguments that only the server knows. */
export const unreadConfig: KeptStatement = Object.freeze({
  kind: 'kept',
  what: 'set_config()',
  leaks: false,
  isPreparable: true,
  sets: true,
})

/** A SET or RESET as the script keeps it. */
export const settingOf = (text: string, { name, value, isLocal, resets }: SettingStatement): HeldSetting =>
  Object.freeze({
    text,
    localText: localSetting(text),
    names: name === undefined ? [] : [name],
    resets,
    isOfSession: !isLocal,
    isExact: resets || isExactChange(name ?? '', value),
    isMode: false,
  })

/** One setting of several that were given in one statement, and end alike. */
export const together = (settings: readonly HeldSetting[]): HeldSetting => {
  const text = settings.map((one) => one.text).join('; ')
  const localText = settings.map((one) => one.localText).join('; ')
  return Object.freeze({
    text,
    localText,
    names: settings.flatMap(({ names }) => names),
    resets: settings.every(({ resets }) => resets),
    isOfSession: settings.every(({ isOfSession }) => isOfSession),
    isExact: settings.every(({ isExact }) => isExact),
    isMode: false,
  })
}

/** Prefixes of settings that extensions know, and may refuse. */
const known =
  /^(?:plpgsql|plperl|plpython\w*|pltcl|pg_\w+|auto_explain|postgres_fdw|pgaudit|citus|timescaledb|cron|hnsw|ivfflat|postgis|isn)\./

/** A setting of the application's own, which every server takes whatever its value. */
export const isCustom = (name: string): boolean => /^[a-z_][\w$]*(?:\.[a-z_][\w$]*)+$/.test(name) && !known.test(name)

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
