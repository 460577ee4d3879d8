import { ShardedError } from '../errors/sharded-error'
import { isNeutralSetting } from '../values/exact-setting'
import { quoted } from '../values/quoted'

/** One thing that a session was told to keep, as each node is told. */
export interface HeldSetting {
  /** As the home node was told. */
  readonly text: string
  /** As every other node is told, whose connection goes back after the transaction; undefined: it cannot be told. */
  readonly localText: string | undefined
  /** Settings that it names, for messages; none for the modes of a transaction. */
  readonly names: readonly string[]
  /** It gives a setting back what a new session has. */
  readonly resets: boolean
  /** It outlives the transaction. */
  readonly isOfSession: boolean
  /** Shards can be read exactly with it. */
  readonly isExact: boolean
  /** A mode of the transaction, which `AND CHAIN` hands on. */
  readonly isMode: boolean
}

type Item =
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'setting'; readonly setting: HeldSetting }
  | { readonly kind: 'undo'; readonly undo: () => void }

/**
 * What a runner's session was told: its settings, and in a transaction the savepoints between them, in order; with what a
 * rollback undoes in memory. A node that
 * joins later is told the same, so that it is where the others are. Settings end as PostgreSQL ends them: with a savepoint
 * that is returned to, with a transaction that is rolled back, or, where they are local, with any transaction.
 *
 * @example
 * script.savepoint('a'); script.hold(setting); script.rollbackTo('a')
 * script.forNode({ isHome: false }) // ['SAVEPOINT "a"']
 */
export class SessionScript {
  /** What the session had when the transaction began. */
  private before: readonly HeldSetting[] = []
  private items: Item[] = []

  /** 1 is the transaction, each savepoint one more. */
  get depth(): number {
    return 1 + this.items.filter(({ kind }) => kind === 'savepoint').length
  }

  /** All that holds now. */
  get settings(): readonly HeldSetting[] {
    return [...this.before, ...this.items.flatMap((item) => (item.kind === 'setting' ? [item.setting] : []))]
  }

  /** What holds outside of a transaction. */
  get ofSession(): readonly HeldSetting[] {
    return this.before
  }

  savepoint(name: string): void {
    this.items.push({ kind: 'savepoint', name })
  }

  has(name: string): boolean {
    return this.find(name) >= 0
  }

  /**
   * Notes what is to be undone in memory when the transaction, or a savepoint around it, rolls back: the database undoes rows,
   * not the objects that stand for them.
   */
  onRollback(undo: () => void): void {
    this.items.push({ kind: 'undo', undo })
  }

  /** Undoes in memory what was done since the latest savepoint of that name, or in all of the transaction: the latest first. */
  undo(name?: string): void {
    const at = name === undefined ? -1 : this.find(name)
    const undone = this.items.slice(at + 1).flatMap((item) => (item.kind === 'undo' ? item.undo : []))
    this.items = this.items.filter((item, index) => index <= at || item.kind !== 'undo')
    for (const undo of undone.reverse()) undo()
  }

  /** Everything since the latest savepoint of that name is undone; it stays. */
  rollbackTo(name: string): void {
    this.items = this.items.slice(0, this.find(name) + 1)
  }

  /** The savepoint goes, with those that were set after it; what was set since then stays, but for modes: READ ONLY ends with it. */
  release(name: string): void {
    const at = this.find(name)
    if (at < 0) return
    this.items = this.items.filter(
      (item, index) => index < at || item.kind === 'undo' || (item.kind === 'setting' && !item.setting.isMode),
    )
  }

  /** In a transaction. */
  hold(setting: HeldSetting): void {
    this.items.push({ kind: 'setting', setting })
  }

  /** It was not held after all: the server has refused it. */
  drop(setting: HeldSetting): void {
    this.items = this.items.filter((item) => item.kind !== 'setting' || item.setting !== setting)
  }

  /** Outside of a transaction, on the home node's connection. Of a RESET no other node need be told. */
  keep(setting: HeldSetting): void {
    const rest = this.before.filter((one) => !isOverruled(one, setting))
    this.before = setting.resets ? rest : [...rest, setting]
  }

  /** What a node that joins the transaction is told after its start. */
  forNode({ isHome }: { readonly isHome: boolean }): readonly string[] {
    const told = (setting: HeldSetting) => (isHome ? setting.text : setting.localText) ?? []
    const own = this.items.flatMap((item) => {
      if (item.kind === 'savepoint') return `SAVEPOINT ${savepointName(item.name)}`
      return item.kind === 'setting' ? told(item.setting) : []
    })
    return isHome ? own : [...this.before.flatMap(told), ...own]
  }

  /** The transaction has ended. @returns its modes */
  end({ committed }: { readonly committed: boolean }): readonly HeldSetting[] {
    if (!committed) this.undo()
    const told = this.items.flatMap((item) => (item.kind === 'setting' ? [item.setting] : []))
    this.items = []
    if (committed) for (const setting of told) if (setting.isOfSession) this.keep(setting)
    return told.filter(({ isMode }) => isMode)
  }

  private find(name: string): number {
    return this.items.findLastIndex((item) => item.kind === 'savepoint' && item.name === name)
  }
}

/** The later setting of the same names is the one that holds; a RESET without a name is of all of them. */
const isOverruled = (earlier: HeldSetting, later: HeldSetting): boolean =>
  (later.resets && later.names.length === 0) || earlier.names.every((name) => later.names.includes(name))

/** As SQL has it; those of TypeORM's nested transactions as TypeORM writes them. */
export const savepointName = (name: string): string => (/^typeorm_\d+$/.test(name) ? name : quoted(name))

/** @throws ShardedError SESSION_NOT_HELD where shards cannot be read in the transaction with what its session was told */
export function checkInside({ settings }: SessionScript): void {
  const isOver = (setting: HeldSetting, index: number) =>
    settings.slice(index + 1).some((later) => later.isExact && setting.names.length > 0 && isOverruled(setting, later))
  const inexact = settings.find(
    (setting, index) => (!setting.isExact || setting.localText === undefined) && !isOver(setting, index),
  )
  if (!inexact) return
  const isTold = inexact.localText !== undefined && inexact.names.length === 1
  throw notHeld(inexact, 'shards cannot be read exactly with this setting', {
    ...(isTold && {
      fix: `It holds for unsharded tables alone: RESET ${inexact.names[0]} before what reads shards, or read them in another transaction.`,
    }),
  })
}

/** @throws ShardedError SESSION_NOT_HELD where connections of the pools would lack what the session was told */
export function checkOutside({ ofSession }: SessionScript): void {
  const missed = ofSession.find(({ names, isExact }) => !isExact || !names.every(isNeutralSetting))
  if (missed)
    throw notHeld(
      missed,
      'only the session of the home node has this setting, and outside of a transaction shards are read in other sessions. Begin a transaction, which gives the setting to all nodes, or RESET it first',
    )
}

function notHeld({ names }: HeldSetting, why: string, options: { readonly fix?: string } = {}): ShardedError {
  const name = names.join(', ')
  return new ShardedError('SESSION_NOT_HELD', `The session has set ${name}: ${why}.`, {
    details: { settings: names },
    labels: ['no-writes'],
    ...options,
  })
}
