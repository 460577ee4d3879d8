import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { Shard } from '../topology/shard'
import type { EncodedRow } from './load-encoder'

/** Rows of one shard that go in one COPY. */
export interface LoadChunk {
  readonly shard: Shard
  readonly columns: readonly ColumnMetadata[]
  readonly lines: string[]
  /** The places of the rows in the input, from 1. */
  readonly numbers: number[]
  /** The rows themselves, where they are needed again. */
  readonly rows: ObjectLiteral[]
  characters: number
}

/** Rows and characters of a chunk, where no batch says less. */
const maxChunkRows = 2_000
const maxChunkCharacters = 128 * 1024
/** Characters that wait in the chunks of all shards together. */
const maxWaitingCharacters = 32 * 1024 * 1024

/** Gathers encoded rows by shard, in the order of the input, and gives each chunk as it is full. */
export class LoadChunks {
  private readonly open = new Map<Shard, LoadChunk>()
  private readonly maxCharacters: number

  constructor(
    shards: number,
    private readonly maxRows: number = maxChunkRows,
  ) {
    this.maxCharacters = Math.min(maxChunkCharacters, Math.ceil(maxWaitingCharacters / Math.max(1, shards)))
  }

  /** @returns the chunks of the shard that are complete now: of other columns than the row's, or full */
  add(shard: Shard, { columns, line }: EncodedRow, number: number, row?: ObjectLiteral): readonly LoadChunk[] {
    const full: LoadChunk[] = []
    let chunk = this.open.get(shard)
    if (chunk && !sameColumns(chunk.columns, columns)) {
      full.push(chunk)
      chunk = undefined
    }
    chunk ??= { shard, columns, lines: [], numbers: [], rows: [], characters: 0 }
    chunk.lines.push(line)
    chunk.numbers.push(number)
    if (row) chunk.rows.push(row)
    chunk.characters += line.length + 1
    if (chunk.lines.length >= this.maxRows || chunk.characters >= this.maxCharacters) {
      full.push(chunk)
      this.open.delete(shard)
    } else this.open.set(shard, chunk)
    return full
  }

  /** What is left at the end of the input. */
  rest(): readonly LoadChunk[] {
    return [...this.open.values()]
  }
}

const sameColumns = (a: readonly ColumnMetadata[], b: readonly ColumnMetadata[]): boolean =>
  a === b || (a.length === b.length && a.every((column, index) => column === b[index]))
