import { QueryResult } from 'typeorm/query-runner/QueryResult'
import type {
  EndStatement,
  KeptStatement,
  SavepointStatement,
  SettingStatement,
  TransactionModes,
} from '../../sql/session-statement'
import type { TextPart } from '../../sql/session-text'
import type { HeldSetting } from '../../transactions/session-script'
import { refuseSession } from '../runners/refuse-session'
import { type ResolvedConfig, resolveConfig, rowOfConfig, settingOfConfig } from '../runners/resolved-config'
import {
  inexactReset,
  isCustom,
  local,
  type RunnerSession,
  resetAll,
  settingOf,
  together,
  unreadConfig,
} from './runner-session'
import type { TransactionControl } from './transaction-control'

/**
 * Runs statements about the session or transaction of a runner, so that they hold on all of its nodes: transaction control
 * as TypeORM's own calls do, settings on every node of the transaction, all else on the home node or not at all.
 */
export class SessionControl {
  constructor(private readonly session: RunnerSession) {}

  private get runner(): RunnerSession['runner'] {
    return this.session.runner
  }

  private get transaction(): TransactionControl {
    return this.session.transaction
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
    for (const mode of modes) await this.session.tell(mode, { text: mode.text, mayWait: true })
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
      await this.session.tell(setting, { text, mayWait: this.transaction.script.depth === 1 })
    }
    return nothing()
  }

  private async setConstraints(text: string, names: readonly string[]): Promise<QueryResult> {
    const [sharded] = this.session.shardedConstraints(names)
    if (sharded !== undefined)
      throw refuseSession(
        `SET CONSTRAINTS of ${sharded}`,
        'each shard has a constraint of that name; SET CONSTRAINTS ALL reaches those of all shards',
      )
    // Of other names, they are the home node's.
    if (!this.transaction.isActive || names.length > 0) return this.runner.atHome(text)
    await this.session.tell({ ...local, text, localText: text, names: ['constraints'] }, { text, mayWait: true })
    return nothing()
  }

  private async set(text: string, statement: SettingStatement): Promise<QueryResult> {
    const { name, isLocal, resets } = statement
    const setting = this.settingOf(text, statement)
    if (!isLocal) this.checkLasting(`SET ${name ?? 'ALL'}`)
    if (this.transaction.isActive) {
      const mayWait = isLocal && !resets && isCustom(name ?? '')
      return (await this.session.tell(setting, { text, mayWait })) ?? nothing()
    }
    const result = await this.runner.atHome(text)
    // Outside of a transaction, SET LOCAL has no effect but a warning.
    if (!isLocal) this.transaction.script.keep(setting)
    if (!isLocal && !setting.isExact) this.session.noteKept(inexactReset)
    return result
  }

  private settingOf(text: string, statement: SettingStatement): HeldSetting {
    const setting = settingOf(text, statement)
    return statement.resets && !this.session.resetsExactly ? Object.freeze({ ...setting, isExact: false }) : setting
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
    if (isAlike) return (await this.session.tell(together(settings), { text, parameters, mayWait })) ?? answer
    for (const setting of settings) await this.session.tell(setting, { text: setting.text, mayWait: false })
    return answer
  }

  private async keep(text: string, parameters: readonly unknown[], kept: KeptStatement): Promise<QueryResult> {
    if (kept.leaks) this.checkLasting(kept.what)
    const result = await this.runner.atHome(text, parameters)
    this.session.noteKept(kept)
    // PostgreSQL takes it outside of transactions only.
    if (kept.resetsAll) this.transaction.script.keep(settingOf('RESET ALL', resetAll))
    if (!kept.sets) return result
    const setting = { ...local, text, localText: undefined, names: [kept.what], isOfSession: true, isExact: false }
    if (this.transaction.isActive) this.transaction.script.hold(setting)
    else this.transaction.script.keep(setting)
    return result
  }

  private checkLasting(what: string): void {
    if (this.session.hasLastingSession) return
    throw refuseSession(
      what,
      'the home node is behind a pooler in transaction mode, which would give the change to other sessions; use what ends with the transaction (SET LOCAL, ON COMMIT DROP)',
    )
  }
}

const nothing = (): QueryResult => Object.assign(new QueryResult(), { records: [], affected: null, raw: [] })
