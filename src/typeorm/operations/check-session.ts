import { ShardedError } from '../../errors/sharded-error'
import type { HeldSetting, SessionScript } from '../../transactions/session-script'
import { isNeutralSetting } from '../../values/exact-setting'

/** @throws ShardedError SESSION_NOT_HELD where shards cannot be read in the transaction with what its session was told */
export function checkInside({ settings }: SessionScript): void {
  const inexact = settings.find(({ isExact, localText }) => !isExact || localText === undefined)
  if (inexact) throw notHeld(inexact, 'shards cannot be read exactly with this setting')
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

function notHeld({ names }: HeldSetting, why: string): ShardedError {
  const name = names.join(', ')
  return new ShardedError('SESSION_NOT_HELD', `The session has set ${name}: ${why}.`, {
    details: { settings: names },
    labels: ['no-writes'],
  })
}
