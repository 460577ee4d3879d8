import { ShardedError } from '../errors/sharded-error'
import { type Chunk, type ComparedTable, endOfChunk, hashChunk } from '../rebalancing/compared-table'
import type { Side } from './copy-rows'
import type { ReshardingMove } from './resharding-move'

/** The tables of a side, as they are compared. */
const comparedOf = ({ tables }: Side, place: number): ComparedTable => {
  const found = tables[place]
  if (!found) throw new RangeError(`There is no table ${place}.`)
  return { table: found.table, keys: found.key }
}

interface Sum {
  readonly rows: number
  readonly hash: bigint
}

async function sumOf(sides: readonly Side[], place: number, chunk: Chunk): Promise<Sum> {
  const hashes = await Promise.all(sides.map((side) => hashChunk(side.send, comparedOf(side, place), chunk)))
  return {
    rows: hashes.reduce((sum, { rows }) => sum + rows, 0),
    hash: hashes.reduce((sum, { hash }) => sum + BigInt(hash), 0n),
  }
}

/**
 * Compares every row of the sources with those of the targets, chunk by chunk: both sides have the same rows together. The sources are seen
 * in snapshots in which the targets have everything, so that no row is on its way.
 *
 * @throws ShardedError SHARD_MOVE_DIFFERS
 */
export async function compareCopies(
  move: ReshardingMove,
  { sources, targets }: { readonly sources: readonly Side[]; readonly targets: readonly Side[] },
  { rowsPerChunk, compared }: { readonly rowsPerChunk: number; readonly compared: (rows: number) => Promise<void> },
): Promise<void> {
  // The side that has all rows in one table says where chunks end.
  const [whole] = sources.length === 1 ? sources : targets
  if (!whole) return
  for (const [place, table] of move.resharding.tables.entries()) {
    let after: Chunk['after']
    do {
      const upTo = await endOfChunk(whole.send, comparedOf(whole, place), { after, rows: rowsPerChunk })
      const [before, now] = await Promise.all([
        sumOf(sources, place, { after, upTo }),
        sumOf(targets, place, { after, upTo }),
      ])
      if (before.rows !== now.rows || before.hash !== now.hash) throw differs(move, table, { after, before, now })
      await compared(before.rows)
      after = upTo
    } while (after)
  }
}

function differs(
  { id, shard }: ReshardingMove,
  table: string,
  { after, before, now }: { readonly after: Chunk['after']; readonly before: Sum; readonly now: Sum },
): ShardedError {
  const where = after ? ` behind the key (${after.join(', ')})` : ''
  return new ShardedError(
    'SHARD_MOVE_DIFFERS',
    `Rows of table ${table} of ${shard}${where} are not alike on both sides: ${before.rows} before, ${now.rows} now.`,
    { details: { id, shard, table, after } },
  )
}
