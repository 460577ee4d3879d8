import { type DataSource, QueryFailedError } from 'typeorm'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { NodePool } from '../../endpoints/node-pool'
import { isServerRefusal } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import type { TableCatalog } from '../../routing/table-catalog'
import { localSetting } from '../../sql/local-setting'
import type {
  EndStatement,
  KeptStatement,
  SavepointStatement,
  SettingStatement,
  TransactionModes,
} from '../../sql/session-statement'
import type { TextPart } from '../../sql/session-text'
import type { NodeTransaction } from '../../transactions/node-transaction'
import type { HeldSetting } from '../../transactions/session-script'
import { isExactChange } from '../../values/exact-setting'
import { isControl, refuseSession, shardedTables } from '../runners/refuse-session'
import { type ResolvedConfig, resolveConfig, rowOfConfig, settingOfConfig } from '../runners/resolved-config'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { TransactionControl } from './transaction-control'

interface Telling {
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

/** A text of several statements, and the runner, or view of it, that was asked. */
interface SessionText {
  readonly runner: { query(text: string): Promise<unknown> }
  readonly parts: readonly TextPart[]
  readonly parameters: readonly unknown[]
  readonly catalog: TableCatalog | undefined
}

/**
 * The session of a query runner: the home node's, whose settings every node of a transaction gets. Statements about it, or about the
 * transaction, hold on all nodes: transaction control as TypeORM's own calls do, settings on every node of the transaction, all
 * else on the home node or not at all.
 */
export class RunnerSession {
  /** The home node's session has what no next holder must have. */
  private isChanged = false

  constructor(
    private readonly runner: SessionRunner,
    private readonly transaction: TransactionControl,
  ) {}

  /** The connection is not to be used by another holder as it is. */
  get hasLeftovers(): boolean {
    return this.isChanged || this.transaction.script.ofSession.length > 0
  }

  /** @throws ShardedError SESSION_STATEMENT_UNSUPPORTED; the server's error */
  async run({ text, session }: TextPart, parameters: readonly unknown[]): Promise<QueryResult> {
    switch (session?.kind) {
      case 'begin':
        return this.begin(session.modes)
      case 'commit':
      case 'rollback':
        return this.end(text, session)
      case 'savepoint':
      case 'release':
      case 'rollback-to':
        return this.savepoint(text, session)
      case 'modes':
        return this.transaction.isActive ? this.setModes(session.modes) : this.runner.atHome(text)
      case 'constraints':
        return this.setConstraints(text, session.names)
      case 'setting':
        return this.set(text, session)
      case 'config':
        return this.configure(text, parameters, resolveConfig(session.calls, parameters))
      case 'kept':
        return this.keep(text, parameters, session)
      case 'foreign':
        throw refuseSession(
          session.what,
          'the statement concerns one server, and a transaction over shards may have several',
        )
      default:
        return this.runner.atHome(text, parameters)
    }
  }

  private async begin({ isolation, others }: TransactionModes): Promise<QueryResult> {
    // PostgreSQL warns of a second BEGIN, and does what its modes say.
    if (this.transaction.isActive) return this.setModes({ isolation, others })
    await this.runner.start(isolation)
    return this.setModes({ isolation: undefined, others })
  }

  private async end(text: string, { kind, chain }: EndStatement): Promise<QueryResult> {
    // PostgreSQL warns of the end of a transaction that there is not; to chain one is an error.
    if (!this.transaction.isActive) return chain ? this.runner.atHome(text) : nothing()
    const { isolation } = this.transaction
    const modes = await this.transaction.endBySql(kind)
    if (!chain) return nothing()
    await this.runner.start(isolation)
    for (const mode of modes) await this.tell(mode, { text: mode.text, mayWait: true })
    return nothing()
  }

  private async savepoint(text: string, { kind, name }: SavepointStatement): Promise<QueryResult> {
    const isKnown = kind === 'savepoint' || this.transaction.script.has(name)
    // The server says what is wrong, and fails the transaction.
    if (!this.transaction.isActive || !isKnown) return this.runner.atHome(text)
    if (kind === 'savepoint') await this.transaction.savepoint(name)
    else if (kind === 'release') await this.transaction.releaseSavepoint(name)
    else await this.transaction.rollbackToSavepoint(name)
    return nothing()
  }

  private async setModes({ isolation, others }: TransactionModes): Promise<QueryResult> {
    const modes = [...(isolation ? [`ISOLATION LEVEL ${isolation}`] : []), ...others]
    for (const mode of modes) {
      const text = `SET TRANSACTION ${mode}`
      const setting = { ...local, text, localText: text, names: ['transaction modes'], isMode: true }
      // Most modes are an error behind a savepoint, which the server reports.
      await this.tell(setting, { text, mayWait: this.transaction.script.depth === 1 })
    }
    return nothing()
  }

  private async setConstraints(text: string, names: readonly string[]): Promise<QueryResult> {
    const [sharded] = this.shardedConstraints(names)
    if (sharded !== undefined)
      throw refuseSession(
        `SET CONSTRAINTS of ${sharded}`,
        'each shard has a constraint of that name; SET CONSTRAINTS ALL reaches those of all shards',
      )
    // Of other names, they are the home node's.
    if (!this.transaction.isActive || names.length > 0) return this.runner.atHome(text)
    await this.tell({ ...local, text, localText: text, names: ['constraints'] }, { text, mayWait: true })
    return nothing()
  }

  private async set(text: string, statement: SettingStatement): Promise<QueryResult> {
    const { name, isLocal, resets } = statement
    const held = settingOf(text, statement)
    // Behind a pooler that keeps sessions, a RESET gives back what its server has, and not what all sessions here have.
    const isInexact = resets && this.runner.homePool.pooling === 'session'
    const setting = isInexact ? Object.freeze({ ...held, isExact: false }) : held
    if (!isLocal) this.checkLasting(`SET ${name ?? 'ALL'}`)
    if (this.transaction.isActive) {
      const mayWait = isLocal && !resets && isCustom(name ?? '')
      return (await this.tell(setting, { text, mayWait })) ?? nothing()
    }
    const result = await this.runner.atHome(text)
    // Outside of a transaction, SET LOCAL has no effect but a warning.
    if (!isLocal) this.transaction.script.keep(setting)
    if (!isLocal && !setting.isExact) this.noteKept(inexactReset)
    return result
  }

  private async configure(
    text: string,
    parameters: readonly unknown[],
    calls: readonly ResolvedConfig[] | undefined,
  ): Promise<QueryResult> {
    if (!calls) return this.keep(text, parameters, unreadConfig)
    const settings = calls.map(settingOfConfig)
    const lasting = settings.filter(({ isOfSession }) => isOfSession)
    if (lasting.length > 0) this.checkLasting('set_config(…, false)')
    if (!this.transaction.isActive) {
      const result = await this.runner.atHome(text, parameters)
      for (const setting of lasting) this.transaction.script.keep(setting)
      return result
    }
    const mayWait = lasting.length === 0 && calls.every(({ name, value }) => value !== null && isCustom(name))
    const row = rowOfConfig(calls)
    const answer = Object.assign(new QueryResult(), { records: [row], affected: 1, raw: [row] })
    const isAlike = lasting.length === 0 || lasting.length === settings.length
    if (isAlike) return (await this.tell(together(settings), { text, parameters, mayWait })) ?? answer
    for (const setting of settings) await this.tell(setting, { text: setting.text, mayWait: false })
    return answer
  }

  private async keep(text: string, parameters: readonly unknown[], kept: KeptStatement): Promise<QueryResult> {
    if (kept.leaks) this.checkLasting(kept.what)
    const result = await this.runner.atHome(text, parameters)
    this.noteKept(kept)
    // PostgreSQL takes it outside of transactions only.
    if (kept.resetsAll) this.transaction.script.keep(settingOf('RESET ALL', resetAll))
    if (!kept.sets) return result
    const setting = { ...local, text, localText: undefined, names: [kept.what], isOfSession: true, isExact: false }
    if (this.transaction.isActive) this.transaction.script.hold(setting)
    else this.transaction.script.keep(setting)
    return result
  }

  /** Behind a pooler in transaction mode, a setting that outlives the transaction changes another client's session. */
  private checkLasting(what: string): void {
    if (this.runner.homePool.pooling !== 'transaction') return
    throw refuseSession(
      what,
      'the home node is behind a pooler in transaction mode, which would give the change to other sessions; use what ends with the transaction (SET LOCAL, ON COMMIT DROP)',
    )
  }

  /**
   * Runs a text of several statements of which some are about the session: one after the other, where each stands in a
   * transaction that the text, or the caller, has begun. PostgreSQL makes one transaction of others: they go to the home node
   * as they are, if they name nothing that is elsewhere.
   *
   * @throws ShardedError STATEMENT_UNSUPPORTED where statements stand outside of it
   */
  async runText(text: string, { runner, parts, parameters, catalog }: SessionText): Promise<QueryResult> {
    // With parameters it is an error of PostgreSQL's.
    if (parameters.length > 0) return this.runner.atHome(text, parameters)
    if (isEnclosed(parts, this.transaction.isActive)) {
      for (const part of parts) await runner.query(part.text)
      return new QueryResult()
    }
    const isOfHome = parts.every(
      (part) => !isControl(part.session) && !(catalog && shardedTables(part.node, catalog)[0]),
    )
    if (!isOfHome)
      throw new ShardedError(
        'STATEMENT_UNSUPPORTED',
        'The text has several statements, and not all of them stand between its BEGIN and COMMIT.',
        { details: { statement: text.slice(0, 500) } },
      )
    const result = await this.runner.atHome(text)
    for (const part of parts) this.note(part)
    return result
  }

  /** What the home node's session has of a statement that it was sent. */
  private note({ text, session }: TextPart): void {
    if (session?.kind === 'setting' && !session.isLocal) this.transaction.script.keep(settingOf(text, session))
    else if (session?.kind === 'kept') this.noteKept(session)
    else if (session?.kind === 'config') this.noteKept({ ...unreadConfig, leaks: true })
  }

  /** Sends a setting to every open node, and to those that join later. @returns the home node's answer, if it was sent there */
  private async tell(setting: HeldSetting, { text, parameters, mayWait }: Telling): Promise<QueryResult | undefined> {
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
  private noteKept({ what, leaks, isPreparable }: KeptStatement): void {
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
  private shardedConstraints(names: readonly string[]): readonly string[] {
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

const local = { resets: false, isOfSession: false, isExact: true, isMode: false } as const

const resetAll: SettingStatement = Object.freeze({
  kind: 'setting',
  name: undefined,
  value: undefined,
  isLocal: false,
  resets: true,
})

const preparable = { kind: 'kept', isPreparable: true } as const

/** The connection lacks what those of all sessions have. */
const inexactReset: KeptStatement = Object.freeze({ ...preparable, what: 'RESET', leaks: true, sets: false })

/** A call of `set_config` with arguments that only the server knows. */
const unreadConfig: KeptStatement = Object.freeze({ ...preparable, what: 'set_config()', leaks: false, sets: true })

/** A SET or RESET as the script keeps it. */
const settingOf = (text: string, { name, value, isLocal, resets }: SettingStatement): HeldSetting =>
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
const together = (settings: readonly HeldSetting[]): HeldSetting => {
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
const isCustom = (name: string): boolean => /^[a-z_][\w$]*(?:\.[a-z_][\w$]*)+$/.test(name) && !known.test(name)

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

const nothing = (): QueryResult => Object.assign(new QueryResult(), { records: [], affected: null, raw: [] })
