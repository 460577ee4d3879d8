import { sqlState, undefinedTable } from '../endpoints/sql-state'
import type { Row } from '../merging/row'
import { tableOn } from '../planning/bind-shard-names'
import type { Shard } from '../topology/shard'
import { quoted } from '../values/quoted'
import type { HomeNode } from './own-table'

/** Shards that one statement asks. */
const shardsAtOnce = 128

/** The column of whole numbers that is looked at, and where its tables are. */
export interface NumberedTable {
  readonly table: string
  readonly column: string
  readonly shards: readonly Shard[]
}

/**
 * The greatest value from `first` to `last` that a row has, on any shard; undefined: none has one. Each shard answers from
 * the index of the primary key. A table that is not there yet holds no rows.
 *
 * @throws ShardedError SHARD_UNAVAILABLE: without the answer of a shard, an id could be made twice
 */
export async function greatestTaken(
  { table, column, shards }: NumberedTable,
  nodeOf: (name: string) => HomeNode,
  { first, last }: { readonly first: bigint; readonly last: bigint },
): Promise<bigint | undefined> {
  const ask = async (node: string): Promise<bigint | undefined> => {
    const arms = shards
      .filter((shard) => shard.node === node)
      .map(
        (shard) =>
          `SELECT max(${quoted(column)}) AS id FROM ${tableOn(table, shard)} WHERE ${quoted(column)} BETWEEN $1::bigint AND $2::bigint`,
      )
    let found: bigint | undefined
    for (let start = 0; start < arms.length; start += shardsAtOnce)
      found = greater(found, await askArms(nodeOf(node), arms.slice(start, start + shardsAtOnce), [first, last]))
    return found
  }
  const answers = await Promise.all([...new Set(shards.map(({ node }) => node))].map(ask))
  return answers.reduce(greater, undefined)
}

/** One table that is missing fails the statement of all: each half of them is then asked by itself. */
async function askArms(
  node: HomeNode,
  arms: readonly string[],
  values: readonly bigint[],
): Promise<bigint | undefined> {
  try {
    const { rows } = await node.query(`SELECT max(id)::text AS id FROM (${arms.join(' UNION ALL ')}) AS shards`, values)
    const [row]: readonly Row[] = rows
    const id = row?.['id']
    return id === null || id === undefined ? undefined : BigInt(String(id))
  } catch (error) {
    if (sqlState(error) !== undefinedTable) throw error
    if (arms.length === 1) return undefined
    const half = Math.ceil(arms.length / 2)
    return greater(await askArms(node, arms.slice(0, half), values), await askArms(node, arms.slice(half), values))
  }
}

const greater = (a: bigint | undefined, b: bigint | undefined): bigint | undefined =>
  a === undefined || (b !== undefined && b > a) ? b : a
