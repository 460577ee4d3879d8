import { openPlace } from './close-place'
import { dropClosed, dropMoved } from './make-target'
import type { MoveSession } from './move-session'
import { pause, type Send } from './on-node'
import { dropSlots, dropSubscription, enableSubscription, flushedLsn, reserveWayBack, subscribe } from './replication'
import { type ShardMove, wayBack } from './shard-move'
import { lockTables, settleSource } from './switch-shard'
import { type SwitchTries, settled } from './switch-tries'
import { awaitLsn, onBothSides, type Suspects, verifyRows } from './verify-rows'

/** The steps by which the old place follows the new one, the shard goes back there, or one of the places is dropped. */
export class WayBackSteps {
  constructor(
    private readonly session: MoveSession,
    private readonly tries: SwitchTries,
  ) {}

  /** Before the switch: to make a slot may take long. */
  async reserve(): Promise<void> {
    await this.session.atTarget((send) => reserveWayBack(send, this.back))
  }

  async follow(): Promise<void> {
    const { session, back } = this
    const url = session.host.replicationUrl(back.from)
    await session.atSource((send) => subscribe(send, { move: back, url }))
    await session.reach('shard-move:followed')
    await session.atSource((send) => enableSubscription(send, back))
  }

  /** Compares all rows, when the old place has what was written to the new one before. */
  async verify(note: Parameters<typeof verifyRows>[2]['note']): Promise<Suspects> {
    const { session, back } = this
    const { bounds, signal, host } = session
    await onBothSides(host, back, async (sides) =>
      awaitLsn(sides, back, {
        lsn: await flushedLsn(sides.source),
        stallMs: bounds.stallMs,
        lookEveryMs: bounds.lookEveryMs,
        signal,
      }),
    )
    return verifyRows(host, back, { bounds, signal, note })
  }

  /** @returns false where it was given up */
  switch(suspects: Suspects): Promise<boolean> {
    const { session, back } = this
    return onBothSides(session.host, back, (sides) =>
      session.atSource((opened) =>
        session.atTarget(async (locked) => {
          const tables = await this.tries.prepare(sides, back, [locked, opened])
          const begun = performance.now()
          const outcome = await lockTables(locked, tables, session.bounds)
          if (outcome !== 'locked') return false
          await session.reach('shard-move:locked-back')
          const settling = settleSource({ locked, opened, ...sides }, session.move, { suspects, ...session.bounds })
          const isSettled = await settled(
            settling.then(() => true),
            [locked, opened, sides.target],
          )
          if (!isSettled) return false
          await this.leave(locked, opened)
          await session.note({ progress: { pauseMs: Math.round(performance.now() - begun) } })
          return true
        }),
      ),
    )
  }

  /** First it is stored that the new place may be left: who finds that stored looks for itself. */
  private async leave(locked: Send, opened: Send): Promise<void> {
    const { session } = this
    await session.reach('shard-move:before-switching-back')
    await session.advance()
    await session.reach('shard-move:after-switching-back')
    await session.reach('shard-move:before-leave')
    await locked('COMMIT')
    await session.reach('shard-move:after-leave')
    await opened('COMMIT')
  }

  /** Makes sure that no other session can still leave the new place. */
  async settle(): Promise<void> {
    const { session } = this
    const outcome = await session.atSource(() =>
      session.atTarget(async (send) => {
        const found = await lockTables(send, session.move.tables, session.bounds)
        if (found === 'locked') await send('ROLLBACK')
        return found
      }),
    )
    if (outcome === 'locked') await session.advance({}, 'back')
    else if (outcome === 'busy') await pause(session.bounds.switchEveryMs, session.signal)
  }

  /** A driver has died between the two commits of the switch. */
  async open(): Promise<void> {
    const { session } = this
    const { move, bounds } = session
    const outcome = await session.atSource(async (send) => {
      const found = await lockTables(send, move.tables, bounds)
      if (found !== 'locked') return found
      await openPlace(send, move, move.memory.opening ?? [])
      await send('COMMIT')
      return found
    })
    if (outcome === 'busy') await pause(bounds.switchEveryMs, session.signal)
  }

  async commitReturn(): Promise<void> {
    const { session } = this
    await session.confirm()
    await session.host.commitEpoch(this.back)
    await session.reach('shard-move:return-committed')
    await session.note({ memory: { isReturnCommitted: true } })
    await session.refresh()
  }

  /** Drops what the new place has been. */
  async clear({ abandonsTarget }: { readonly abandonsTarget: boolean }): Promise<void> {
    const { session, back } = this
    await session.atSource((send) => dropSubscription(send, back))
    await session.reach('shard-move:way-back-removed')
    if (!abandonsTarget)
      await session.atTarget(async (send) => {
        await dropSlots(send, back)
        await dropMoved(send, session.move)
      })
    await session.advance()
  }

  /** Drops what the old place has been. The new one is freed of its slot first of all where the old one is gone. */
  async finish(): Promise<void> {
    const { session, back } = this
    const { move } = session
    const atSource = session.atSource(async (send) => {
      await dropSubscription(send, back)
      await (move.memory.isReversible ? dropClosed(send, move) : dropMoved(send, move))
    })
    const [removed] = await Promise.allSettled([atSource])
    await session.reach('shard-move:source-removed')
    if (move.memory.isReversible) await session.atTarget((send) => dropSlots(send, back))
    if (removed.status === 'rejected') throw removed.reason
    await session.advance()
  }

  private get back(): ShardMove {
    return wayBack(this.session.move)
  }
}
