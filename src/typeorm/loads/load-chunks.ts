import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { Shard } from '../../topology/shard'
import type { EncodedRow } from './load-encoder'

/** Rows and bytes of a chunk, where no batch says less. */
const maxChunkRows = 8_000
const maxChunkBytes = 512 * 1024
/** Bytes that wait in the chunks of all shards together, but for their last rows. */
const maxWaitingBytes = 32 * 1024 * 1024
/** Of a chunk's buffer, which doubles: most shards of many may get few rows. */
const firstBytes = 4096
/** Of UTF-8, for one of UTF-16. */
const maxBytesPerUnit = 3

const lineFeed = 0x0a

/**
 * Rows of one shard that go in one COPY. Their lines are encoded to bytes at once: strings would grow old until the chunk is
 * sent, and to collect them would take a fifth of the load's time.
 */
export class LoadChunk {
  /** The places of the rows in the input, from 1. */
  readonly numbers: number[] = []
  /** The rows themselves, where they are needed again. */
  readonly rows: ObjectLiteral[] = []
  /** Where each line ends, its line feed included. */
  private readonly ends: number[] = []
  private buffer: Buffer
  private used = 0

  constructor(
    readonly shard: Shard,
    readonly columns: readonly ColumnMetadata[],
    private readonly bounds: { readonly maxRows: number; readonly maxBytes: number },
  ) {
    this.buffer = Buffer.allocUnsafe(firstBytes)
  }

  add(line: string, number: number, row: ObjectLiteral | undefined): void {
    const needed = this.used + line.length * maxBytesPerUnit + 1
    if (needed > this.buffer.length) {
      const wider = Buffer.allocUnsafe(
        Math.max(needed, Math.min(2 * this.buffer.length, this.bounds.maxBytes + firstBytes)),
      )
      this.buffer.copy(wider, 0, 0, this.used)
      this.buffer = wider
    }
    this.used += this.buffer.write(line, this.used)
    this.buffer[this.used++] = lineFeed
    this.ends.push(this.used)
    this.numbers.push(number)
    if (row) this.rows.push(row)
  }

  get isFull(): boolean {
    return this.numbers.length >= this.bounds.maxRows || this.used >= this.bounds.maxBytes
  }

  /** The lines of the rows at these places of the chunk, or of all. */
  lines(places?: readonly number[]): Buffer {
    if (!places) return this.buffer.subarray(0, this.used)
    return Buffer.concat(places.map((place) => this.buffer.subarray(this.ends[place - 1] ?? 0, this.ends[place])))
  }
}

interface InputRow {
  /** The place in the input, from 1. */
  readonly number: number
  /** Where the row itself is needed again. */
  readonly row: ObjectLiteral | undefined
}

/** Gathers encoded rows by shard, in the order of the input, and gives each chunk as it is full. */
export class LoadChunks {
  private readonly open = new Map<Shard, LoadChunk>()
  private readonly bounds: { readonly maxRows: number; readonly maxBytes: number }

  constructor(shards: number, maxRows: number = maxChunkRows) {
    const maxBytes = Math.min(maxChunkBytes, Math.ceil(maxWaitingBytes / Math.max(1, shards)))
    this.bounds = { maxRows, maxBytes }
  }

  /** @returns the chunks of the shard that are complete now: of other columns than the row's, or full */
  add(shard: Shard, { columns, line }: EncodedRow, { number, row }: InputRow): readonly LoadChunk[] {
    const before = this.open.get(shard)
    const fits = before && sameColumns(before.columns, columns)
    const chunk = fits ? before : new LoadChunk(shard, columns, this.bounds)
    chunk.add(line, number, row)
    if (chunk.isFull) this.open.delete(shard)
    else if (!fits) this.open.set(shard, chunk)
    const full = before && !fits ? [before] : []
    return chunk.isFull ? [...full, chunk] : full
  }

  /** What is left at the end of the input. */
  rest(): readonly LoadChunk[] {
    return [...this.open.values()]
  }
}

const sameColumns = (a: readonly ColumnMetadata[], b: readonly ColumnMetadata[]): boolean =>
  a === b || (a.length === b.length && a.every((column, index) => column === b[index]))
