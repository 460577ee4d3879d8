import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { localSetting } from '../../sql/local-setting'
import type {
  EndStatement,
  KeptStatement,
  SavepointStatement,
  SettingStatement,
  TransactionModes,
} from '../../sql/session-statement'
import type { TextPart } from '../../sql/session-text'
import type { HeldSetting, SessionScript } from '../../transactions/session-script'
import { isExactChange } from '../../values/exact-setting'
import { refuseSession } from '../runners/refuse-session'
import { type ResolvedConfig, resolveConfig, rowOfConfig, settingOfConfig } from '../runners/resolved-config'

/** A runner, as statements about its session see it. */
export interface SessionHost {
  /** Not after a commit that failed, though a call has still to end that. */
  readonly isInTransaction: boolean
  readonly script: SessionScript
  /** False behind a pooler in transaction mode, where what is said for longer is said to somebody else's session. */
  readonly hasLastingSession: boolean
  /** False behind a pooler that keeps sessions: a RESET gives back what its server has, and not what all sessions here have. */
  readonly resetsExactly: boolean
  /** As the transaction was begun. */
  readonly isolation: string | undefined
  /** Begins a transaction; there is none. */
  begin(isolation: string | undefined): Promise<void>
  /** Ends the transaction with all that is nested in it. @returns the modes that it had been told */
  end(by: EndStatement['kind']): Promise<readonly HeldSetting[]>
  savepoint(name: string): Promise<void>
  releaseSavepoint(name: string): Promise<void>
  rollbackToSavepoint(name: string): Promise<void>
  /** Sends a text as it is to the home node. */
  atHome(text: string, parameters?: readonly unknown[]): Promise<QueryResult>
  /** Tells every open node a setting; those that join later hear of it too. @returns the home node's answer, if it was told */
  tell(setting: HeldSetting, how: Telling): Promise<QueryResult | undefined>
  /** The home node alone has done something of this kind. */
  noteKept(kept: KeptStatement): void
  /** Constraints of sharded tables among those of the names. */
  shardedConstraints(names: readonly string[]): readonly string[]
}

export interface Telling {
  /** What the home node is sent, where it is told now. */
  readonly text: string
  readonly parameters?: readonly unknown[]
  /** Where no node is open yet, the first that opens is told: nothing is left for a server to find wrong. */
  readonly mayWait: boolean
}

/**
 * Runs statements about the session or transaction of a runner, so that they hold on all of its nodes: transaction control
 * as TypeORM's own calls do, settings on every node of the transaction, all else on the home node or not at all.
 */
export class SessionControl {
  constructor(private readonly host: SessionHost) {}

  /** @throws ShardedError SESSION_STATEMENT_UNSUPPORTED; the server's error */
  async run({ text, session }: TextPart, parameters: readonly unknown[]): Promise<QueryResult> {
    const { host } = this
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
        return host.isInTransaction ? this.setModes(session.modes) : host.atHome(text)
      case 'constraints':
        return this.setConstraints(text, session.names)
      case 'setting':
        return this.set(text, session)
      case 'config':
        return this.configure(text, parameters, resolveConfig(session.calls, parameters))
      case 'kept':
        return this.keep(text, parameters, session)
      case 'foreign':
        throw refuseSession(session.what, 'it is about one server, and a transaction here may have several')
      default:
        return host.atHome(text, parameters)
    }
  }

  private async begin({ isolation, others }: TransactionModes): Promise<QueryResult> {
    const { host } = this
    // PostgreSQL warns of a second BEGIN, and does what its modes say.
    if (host.isInTransaction) return this.setModes({ isolation, others })
    await host.begin(isolation)
    return this.setModes({ isolation: undefined, others })
  }

  private async end(text: string, { kind, chain }: EndStatement): Promise<QueryResult> {
    const { host } = this
    // PostgreSQL warns of the end of a transaction that there is not; to chain one is an error.
    if (!host.isInTransaction) return chain ? host.atHome(text) : nothing()
    const { isolation } = host
    const modes = await host.end(kind)
    if (!chain) return nothing()
    await host.begin(isolation)
    for (const mode of modes) await host.tell(mode, { text: mode.text, mayWait: true })
    return nothing()
  }

  private async savepoint(text: string, { kind, name }: SavepointStatement): Promise<QueryResult> {
    const { host } = this
    const isKnown = kind === 'savepoint' || host.script.has(name)
    // The server says what is wrong, and fails the transaction.
    if (!host.isInTransaction || !isKnown) return host.atHome(text)
    if (kind === 'savepoint') await host.savepoint(name)
    else if (kind === 'release') await host.releaseSavepoint(name)
    else await host.rollbackToSavepoint(name)
    return nothing()
  }

  private async setModes({ isolation, others }: TransactionModes): Promise<QueryResult> {
    const modes = [...(isolation ? [`ISOLATION LEVEL ${isolation}`] : []), ...others]
    for (const mode of modes) {
      const text = `SET TRANSACTION ${mode}`
      const setting = { ...local, text, localText: text, names: ['transaction modes'], isMode: true }
      // Most modes are an error behind a savepoint, which the server tells.
      await this.host.tell(setting, { text, mayWait: this.host.script.depth === 1 })
    }
    return nothing()
  }

  private async setConstraints(text: string, names: readonly string[]): Promise<QueryResult> {
    const { host } = this
    const [sharded] = host.shardedConstraints(names)
    if (sharded !== undefined)
      throw refuseSession(
        `SET CONSTRAINTS of ${sharded}`,
        'each shard has a constraint of that name; SET CONSTRAINTS ALL reaches those of all shards',
      )
    // Of other names, they are the home node's.
    if (!host.isInTransaction || names.length > 0) return host.atHome(text)
    await host.tell({ ...local, text, localText: text, names: ['constraints'] }, { text, mayWait: true })
    return nothing()
  }

  private async set(text: string, statement: SettingStatement): Promise<QueryResult> {
    const { host } = this
    const { name, isLocal, resets } = statement
    const setting = this.settingOf(text, statement)
    if (!isLocal) this.checkLasting(`SET ${name ?? 'ALL'}`)
    if (host.isInTransaction) {
      const mayWait = isLocal && !resets && isCustom(name ?? '')
      return (await host.tell(setting, { text, mayWait })) ?? nothing()
    }
    const result = await host.atHome(text)
    // Outside of a transaction, SET LOCAL has no effect but a warning.
    if (!isLocal) host.script.keep(setting)
    if (!isLocal && !setting.isExact) host.noteKept(inexactReset)
    return result
  }

  private settingOf(text: string, statement: SettingStatement): HeldSetting {
    const setting = settingOf(text, statement)
    return statement.resets && !this.host.resetsExactly ? Object.freeze({ ...setting, isExact: false }) : setting
  }

  private async configure(
    text: string,
    parameters: readonly unknown[],
    calls: readonly ResolvedConfig[] | undefined,
  ): Promise<QueryResult> {
    const { host } = this
    if (!calls) return this.keep(text, parameters, unreadConfig)
    const settings = calls.map(settingOfConfig)
    const lasting = settings.filter(({ isOfSession }) => isOfSession)
    if (lasting.length > 0) this.checkLasting('set_config(…, false)')
    if (!host.isInTransaction) {
      const result = await host.atHome(text, parameters)
      for (const setting of lasting) host.script.keep(setting)
      return result
    }
    const mayWait = lasting.length === 0 && calls.every(({ name, value }) => value !== null && isCustom(name))
    const row = rowOfConfig(calls)
    const answer = Object.assign(new QueryResult(), { records: [row], affected: 1, raw: [row] })
    const isAlike = lasting.length === 0 || lasting.length === settings.length
    if (isAlike) return (await host.tell(together(settings), { text, parameters, mayWait })) ?? answer
    for (const setting of settings) await host.tell(setting, { text: setting.text, mayWait: false })
    return answer
  }

  private async keep(text: string, parameters: readonly unknown[], kept: KeptStatement): Promise<QueryResult> {
    const { host } = this
    if (kept.leaks) this.checkLasting(kept.what)
    const result = await host.atHome(text, parameters)
    host.noteKept(kept)
    // PostgreSQL takes it outside of transactions only.
    if (kept.resetsAll) host.script.keep(settingOf('RESET ALL', resetAll))
    if (!kept.sets) return result
    const setting = { ...local, text, localText: undefined, names: [kept.what], isOfSession: true, isExact: false }
    if (host.isInTransaction) host.script.hold(setting)
    else host.script.keep(setting)
    return result
  }

  private checkLasting(what: string): void {
    if (this.host.hasLastingSession) return
    throw refuseSession(
      what,
      'the home node is behind a pooler in transaction mode, which would give it to other sessions; what ends with the transaction (SET LOCAL, ON COMMIT DROP) holds',
    )
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

/** The connection lacks what those of all sessions have. */
const inexactReset: KeptStatement = Object.freeze({
  kind: 'kept',
  what: 'RESET',
  leaks: true,
  isPreparable: true,
  sets: false,
})

/** A call of `set_config` with arguments that only the server knows. */
const unreadConfig: KeptStatement = Object.freeze({
  kind: 'kept',
  what: 'set_config()',
  leaks: false,
  isPreparable: true,
  sets: true,
})

/** What is to be held of a SET or RESET. */
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

const nothing = (): QueryResult => Object.assign(new QueryResult(), { records: [], affected: null, raw: [] })
