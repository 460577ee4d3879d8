import { ShardedError } from '../../errors/sharded-error'
import type { Row } from '../../merging/row'
import { tableOn } from '../../planning/bind-shard-names'
import {
  columnsText,
  deleteText,
  type IncomingKey,
  incomingKeysText,
  putTemplate,
  referringText,
  type TableColumn,
} from '../../planning/carried-rows'
import type { KeyUpdate } from '../../planning/key-update'
import type { Shard } from '../../topology/shard'
import type { ControlPoint } from '../../transactions/control-point'
import type { ShardAccess } from '../runners/shard-access'
import { pick, rowsOf } from './statement-run'

/** Rows of one move, children included: they are held in memory. */
export const maxMovedRows = 10_000

/** A row on its way: where it lies, and its columns as texts. */
export interface MovingRow {
  readonly oid: string
  readonly tid: string
  readonly values: readonly (string | null)[]
}

interface Columns {
  /** Those that can be written. */
  readonly written: readonly TableColumn[]
  readonly style: string
}

/**
 * Carries rows from shard to shard inside one transaction. Who calls has locked them: until the commit they are nowhere but
 * in this process, and a crash before it leaves them where they were.
 */
export class RowMover {
  private readonly known = new Map<string, Promise<Columns>>()

  constructor(private readonly access: ShardAccess) {}

  async query(shard: Shard, text: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
    return rowsOf(await this.run(shard, text, parameters))
  }

  run(shard: Shard, text: string, parameters: readonly unknown[]) {
    return this.access.run(shard, { text, parameters })
  }

  async columns(shard: Shard, table: string): Promise<readonly TableColumn[]> {
    return (await this.columnsOf(shard, table)).written
  }

  /**
   * Deletes rows that have been read, where nothing refers to them: a foreign key might delete or change what refers.
   *
   * @throws ShardedError MOVE_LEAVES_CHILDREN, MOVE_NOT_EXACT
   */
  async remove(shard: Shard, table: string, rows: readonly MovingRow[]): Promise<void> {
    await this.reach('move:locked', shard)
    const addresses = addressesOf(rows)
    const keys = await this.query(shard, incomingKeysText, [tableOn(table, shard)])
    // Its columns are those of the text.
    for (const key of keys as unknown as readonly IncomingKey[]) {
      const [left] = await this.query(shard, referringText(table, key), addresses)
      if (left) throw leavesChildren(table, key, shard)
    }
    const { affected } = await this.run(shard, deleteText(table), addresses)
    if (affected !== rows.length)
      throw notExact(
        table,
        `${affected ?? 0} of ${rows.length} rows left ${shard.name}: a rule or trigger kept others.`,
      )
    await this.reach('move:removed', shard)
  }

  /**
   * Puts rows into a table of another shard (or of the same), with what the UPDATE that moves them returns.
   *
   * @throws ShardedError MOVE_NOT_EXACT; TypeORM's QueryFailedError where the shard refuses a row
   */
  async put(
    shard: Shard,
    table: string,
    { rows, from, columns, update, parameters = [] }: PutOptions,
  ): Promise<readonly Row[]> {
    const [source, target] = [await this.columnsOf(from, table), await this.columnsOf(shard, table)]
    if (source.style !== target.style || !/ [1-9]\d*$/.test(target.style))
      throw notExact(table, `${from.name} and ${shard.name} write values as texts in different ways, or not exactly.`)
    const types = columns.map(({ name }): TableColumn => {
      const column = target.written.find((one) => one.name === name)
      if (column) return column
      throw notExact(table, `${shard.name} has no column ${name} that could be written.`)
    })
    const texts = columns.map((_, index) => rows.map(({ values }) => values[index] ?? null))
    const template = putTemplate(table, types, { ...(update && { update }), parameters: parameters.length })
    const result = await this.run(shard, template.text, pick(template.parameters, [...parameters, ...texts]))
    if (result.affected !== rows.length)
      throw notExact(table, `${result.affected ?? 0} of ${rows.length} rows came to ${shard.name}.`)
    await this.reach('move:put', shard)
    return rowsOf(result)
  }

  private reach(point: ControlPoint, { node }: Shard): Promise<void> {
    return this.access.runtime.transactions.points.reach(point, node)
  }

  private columnsOf(shard: Shard, table: string): Promise<Columns> {
    const name = `${shard.name} ${table}`
    const known = this.known.get(name) ?? this.loadColumns(shard, table)
    this.known.set(name, known)
    return known
  }

  private async loadColumns(shard: Shard, table: string): Promise<Columns> {
    const rows = await this.query(shard, columnsText, [tableOn(table, shard)])
    // Its columns are those of the text.
    const columns = rows as unknown as readonly (TableColumn & { readonly style: string })[]
    return { written: columns.filter(({ isGenerated }) => !isGenerated), style: columns[0]?.style ?? '' }
  }
}

interface PutOptions {
  readonly rows: readonly MovingRow[]
  readonly from: Shard
  /** What the values of the rows are of. */
  readonly columns: readonly TableColumn[]
  readonly update?: KeyUpdate
  readonly parameters?: readonly unknown[]
}

export const addressesOf = (rows: readonly MovingRow[]): readonly [readonly string[], readonly string[]] => [
  rows.map(({ oid }) => oid),
  rows.map(({ tid }) => tid),
]

/** A column that was asked for as a text. */
export const textAt = (row: Row, name: string): string | null => (typeof row[name] === 'string' ? row[name] : null)

/** @param count columns that were asked for as "0", "1" … */
export function carriedRow(row: Row, count: number): MovingRow {
  const values = Array.from({ length: count }, (_, index) => textAt(row, String(index)))
  return { oid: String(row['oid']), tid: String(row['tid']), values }
}

/** @throws ShardedError MOVE_TOO_LARGE */
export function checkSize(table: string, count: number): void {
  if (count <= maxMovedRows) return
  throw new ShardedError('MOVE_TOO_LARGE', `More than ${maxMovedRows} rows would move with one write of ${table}.`, {
    details: { table, limit: maxMovedRows },
  })
}

const leavesChildren = (table: string, key: IncomingKey, { name }: Shard): ShardedError =>
  new ShardedError(
    'MOVE_LEAVES_CHILDREN',
    `A row of ${table} cannot leave shard ${name}: rows of ${key.table} refer to it by ${key.columns.join(', ')}.`,
    { details: { table, referring: key.table, columns: key.columns, constraint: key.constraint, shard: name } },
  )

const notExact = (table: string, what: string): ShardedError =>
  new ShardedError('MOVE_NOT_EXACT', `A row of ${table} cannot be moved: ${what}`, { details: { table } })
