import { ShardedError } from '../errors/sharded-error'
import { decomposeId, type IdLayout, idLayouts, timeOf } from './id-layout'
import type { ShardedIdKind } from './sharded-id-kind'
import { decomposeUuid } from './uuid-ids'

/** What an id says of itself. */
export interface DecodedShardedId {
  readonly kind: Exclude<ShardedIdKind, 'sequence'>
  /** When it was made, to its layout's tick: 1/256 s of 64 bits, 1/4 s of 53, 1 ms of a UUID. Of a burst on one key, later. */
  readonly time: Date
  /** The worker number of the data source that made it; a UUID has none. */
  readonly worker: number | undefined
  /** The slot of its row's shard key, 0 … 16383. An id that is a shard key itself carries one that says nothing. */
  readonly slot: number
}

/**
 * Reads an id that `@ShardedId()` made. Numbers tell by their size which layout they have; those that others made by
 * counting up are too small for any, but a number or a UUID of version 7 from elsewhere is taken for what it looks like.
 *
 * @throws ShardedError ID_INVALID for what no `@ShardedId()` makes
 * @example
 * decodeShardedId('392492097858728642') // { kind: '64-bit', time: 2026-11-23T16:29:47.773Z, worker: 17, slot: 1234 }
 */
export function decodeShardedId(id: string | number | bigint): DecodedShardedId {
  const text = typeof id === 'string' ? id.trim().toLowerCase() : String(id)
  const uuid = decomposeUuid(text)
  if (uuid) return Object.freeze({ kind: 'uuid', time: new Date(uuid.time), worker: undefined, slot: uuid.slot })
  const decoded = decodeNumber(idLayouts['53-bit'], text) ?? decodeNumber(idLayouts['64-bit'], text)
  if (decoded && (typeof id !== 'number' || Number.isSafeInteger(id))) return decoded
  throw new ShardedError('ID_INVALID', `${JSON.stringify(String(id).slice(0, 60))} (${typeof id}) is no such id.`, {
    details: { type: typeof id },
  })
}

/** The slot that an id of a kind carries, by its canonical text; undefined for what is no id of the kind. */
export function slotOfId(kind: ShardedIdKind, text: string): number | undefined {
  if (kind === 'sequence') return undefined
  return kind === 'uuid' ? decomposeUuid(text)?.slot : decomposeId(idLayouts[kind], text)?.slot
}

function decodeNumber(layout: IdLayout, text: string): DecodedShardedId | undefined {
  const parts = decomposeId(layout, text)
  if (!parts) return undefined
  const { tick, worker, slot } = parts
  return Object.freeze({ kind: layout.kind, time: new Date(timeOf(layout, tick)), worker, slot })
}
