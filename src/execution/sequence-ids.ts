import { ShardedError } from '../errors/sharded-error'
import type { IdMaker } from '../ids/id-maker'
import { asUnavailable, createOnce, type HomeNode } from './own-table'

/** Numbers that are taken from the home node at once, where no more are asked for. Those that are left at the end are lost. */
const blockSize = 1_000

const table = 'sharding_sequence'

const create = `CREATE TABLE IF NOT EXISTS ${table} (name text PRIMARY KEY, next_value bigint NOT NULL)`

const takeBlock = `
  INSERT INTO ${table} AS s (name, next_value) VALUES ($1, 1 + $2::bigint)
  ON CONFLICT (name) DO UPDATE SET next_value = s.next_value + $2::bigint
  RETURNING next_value - $2::bigint AS first`

/** What the numbers are for. */
export interface SequenceSettings {
  /** Names the sequence: the entity's table. */
  readonly name: string
  /** The greatest number that the column holds. */
  readonly most: bigint
}

/** Numbers from 1 on, each once, from a row of the home node. Blocks of processes alternate: they are in no order of time. */
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
    return createOnce(this.home, table, create)
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
    const { name, most } = this.settings
    const { rows } = await this.home.query(takeBlock, [name, count]).catch((error: unknown) => {
      throw asUnavailable(error, this.home.name)
    })
    const first = BigInt((rows[0] as { first: string | number }).first)
    if (first > most) {
      throw new ShardedError('ID_SEQUENCE_EXHAUSTED', `The sequence ${name} is past ${most}.`, { details: { name } })
    }
    const end = first + BigInt(count)
    this.next = first
    this.end = end > most + 1n ? most + 1n : end
  }
}
