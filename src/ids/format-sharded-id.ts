import { decodeShardedId } from './decode-sharded-id'

/**
 * An id in words, for logs and terminals: when it was made, by which worker, for which slot.
 *
 * @throws ShardedError ID_INVALID
 * @example
 * formatShardedId('392492097858728642') // '2026-11-23T16:29:47.773Z w17 s01234'
 */
export function formatShardedId(id: string | number | bigint): string {
  const { time, worker, slot } = decodeShardedId(id)
  const maker = worker === undefined ? [] : [`w${worker}`]
  return [time.toISOString(), ...maker, `s${String(slot).padStart(5, '0')}`].join(' ')
}
