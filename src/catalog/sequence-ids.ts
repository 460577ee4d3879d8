import { chunksOf } from '../collections/chunks-of'
import { sqlState, undefinedTable } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { IdMaker } from '../ids/id-maker'
import type { Row } from '../merging/row'
import { tableOn } from '../planning/bind-shard-names'
import type { Shard } from '../topology/shard'
import { quoted } from '../values/quoted'
import { asUnavailable, createOnce, type HomeNode, ownTable } from './own-table'

/** Shards that one statement asks. */
const shardsAtOnce = 128

/** The column of whole numbers that is looked at, and where its tables are. */
interface NumberedTable {
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
    for (const some of chunksOf(arms, shardsAtOnce))
      found = greater(found, await askArms(nodeOf(node), some, [first, last]))
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

/** Numbers that are taken from the home node at once, where no more are asked for. Those that are left at the end are lost. */
const blockSize = 1_000

const createIn = (table: string): string =>
  `CREATE TABLE IF NOT EXISTS ${table} (name text PRIMARY KEY, next_value bigint NOT NULL)`

const takeBlock = (table: string): string => `
  INSERT INTO ${table} AS s (name, next_value) VALUES ($1, $3::bigint + $2::bigint)
  ON CONFLICT (name) DO UPDATE SET next_value = greatest(s.next_value, $3::bigint) + $2::bigint
  RETURNING next_value - $2::bigint AS first`

/** Blocks that are tried before we give up. Each try looks at twice as many numbers, so this passes all that a bigint holds. */
const maxTries = 64

/** What the numbers are for. */
export interface SequenceSettings {
  /** Names the sequence: the entity's table. */
  readonly name: string
  /** The greatest number that the column holds. */
  readonly most: bigint
  /** The greatest id from `first` to `last` that a row has, on any shard; undefined: none has one. */
  readonly greatestTaken: (first: bigint, last: bigint) => Promise<bigint | undefined>
}

/**
 * Numbers from 1 on, each once, from a row of the home node. Blocks of processes alternate: they are in no order of time.
 * A block in which a row has an id already (rows that were imported) is passed over when it is taken.
 */
export class SequenceIds implements IdMaker {
  private next = 0n
  private end = 0n
  private pending: Promise<void> | undefined

  constructor(
    private readonly home: HomeNode,
    private readonly settings: SequenceSettings,
  ) {}

  /** Makes sure that there is a table of sequences. */
  open(): Promise<void> {
    return createOnce(this.home, 'sequences', createIn(ownTable(this.home, 'sequences')))
  }

  take(): string | undefined {
    if (this.next >= this.end) return undefined
    const id = this.next
    this.next += 1n
    return String(id)
  }

  /** @throws ShardedError ID_SEQUENCE_EXHAUSTED, SHARD_UNAVAILABLE */
  refill(_slot: number | undefined, count: number): Promise<void> {
    this.pending ??= this.takeBlock(Math.max(blockSize, count)).finally(() => {
      this.pending = undefined
    })
    return this.pending
  }

  private async takeBlock(count: number): Promise<void> {
    let from = 1n
    let looked = BigInt(count)
    for (let attempt = 0; attempt < maxTries; attempt++) {
      const first = await this.advance(from, count)
      const taken = await this.settings.greatestTaken(first, this.atMost(first + looked - 1n))
      if (taken === undefined) {
        this.next = first
        this.end = this.atMost(first + BigInt(count) - 1n) + 1n
        return
      }
      from = taken + 1n
      looked *= 2n
    }
    throw this.exhausted()
  }

  /** Takes the next block that begins at `from` or behind it. */
  private async advance(from: bigint, count: number): Promise<bigint> {
    const { name, most } = this.settings
    if (from > most) throw this.exhausted()
    const { rows } = await this.home
      .query(takeBlock(ownTable(this.home, 'sequences')), [name, count, from])
      .catch((error: unknown) => {
        throw asUnavailable(error, this.home.name)
      })
    const [taken]: readonly Row[] = rows
    const first = BigInt(String(taken?.['first']))
    if (first > most) throw this.exhausted()
    return first
  }

  private atMost(last: bigint): bigint {
    const { most } = this.settings
    return last > most ? most : last
  }

  private exhausted(): ShardedError {
    const { name, most } = this.settings
    return new ShardedError('ID_SEQUENCE_EXHAUSTED', `The sequence ${name} is past ${most}.`, { details: { name } })
  }
}
