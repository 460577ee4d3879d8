import { randomUUID } from 'node:crypto'
import type { InsertStmt, Node } from '@pgsql/types'
import { ShardedError, unsupported } from '../../errors/sharded-error'
import type { InsertedRows } from '../../query/write-query'
import { knownValue } from '../../routing/known-value'
import { keyText, ownerOf } from '../../routing/route'
import { isPlaced, type ShardedTable } from '../../routing/table-catalog'
import { givenRows } from '../../sql/statement-parts'
import { allOf, fieldsOf } from '../../sql/tree'
import { storedKey, type TypedValue, valueToStore } from '../../values/stored-key'

/** The columns that VALUES fill, by position. */
export function insertedColumns(statement: InsertStmt, table: ShardedTable): readonly string[] {
  const { cols } = statement
  return cols ? allOf(cols, 'ResTarget').map(({ name = '' }) => name) : [...table.columns.keys()]
}

/** Always written: what was placed by a name is to be stored by it. */
export const columnList = (names: readonly string[]): Node[] => names.map((name) => ({ ResTarget: { name } }))

const byDefault = (): Node => ({ SetToDefault: {} })

/** A shard key whose default is a generated uuid is generated here: the shard has to be known first. */
export function withGeneratedKeys(table: ShardedTable, { columns, rows, values: given }: InsertedRows): InsertedRows {
  const values = [...given]
  const generated = (): Node => ({ ParamRef: { number: values.push(randomUUID()) } })
  const missing = table.keyColumns.filter((name) => !columns.includes(name) && table.uuidDefaults.has(name))
  const cols = [...columns, ...missing]
  const complete = rows.map((row) =>
    cols.map((name, index) => {
      const value = row[index]
      const isDefault = value === undefined || 'SetToDefault' in value
      if (isDefault && table.keyColumns.includes(name) && table.uuidDefaults.has(name)) return generated()
      return value ?? byDefault()
    }),
  )
  return { columns: cols, rows: complete, values }
}

/** The shards, by number, of the rows that an INSERT of known keys puts; undefined where it does not say its keys. */
export function insertedKeys(
  statement: InsertStmt,
  table: ShardedTable,
  parameters: readonly unknown[],
): readonly number[] | undefined {
  const { keyColumns } = table
  const select = fieldsOf(statement.selectStmt, 'SelectStmt')
  if (!isPlaced(table) || keyColumns.length === 0 || !select) return undefined
  const columns = insertedColumns(statement, table)
  const rows = givenRows(select).map((row) => row.map((value) => value ?? byDefault()))
  const isKnown = rows.every((row) =>
    keyColumns.every((name) => {
      const value = row[columns.indexOf(name)]
      return value && knownValue(value, { parameter: (number) => parameters[number - 1] }) !== undefined
    }),
  )
  if (!isKnown) return undefined
  const inserted = { columns, rows, values: parameters }
  return rows.map((_, row) => ownerOf(table, keyOfRow(table, inserted, row)))
}

/** The canonical shard key of a row. @throws ShardedError KEY_MISSING, KEY_INVALID, STATEMENT_UNSUPPORTED */
export function keyOfRow(table: ShardedTable, { columns, rows, values }: InsertedRows, row: number): readonly string[] {
  return table.keyColumns.map((column, index) => {
    const node = rows[row]?.[columns.indexOf(column)]
    if (!node || 'SetToDefault' in node) throw keyMissing(table, column)
    const value = knownValue(node, { parameter: (number) => values[number - 1] })
    if (!value) throw notPlaceable(`An INSERT whose value for the shard key ${column} is an expression`, table)
    if (value.value === null || value.value === undefined) throw keyMissing(table, column)
    return canonicalOf(table, index, value)
  })
}

function canonicalOf(table: ShardedTable, index: number, value: TypedValue): string {
  const { entity, keyColumns, name } = table
  const column = entity?.keyColumns[index]
  const known = column && valueToStore(value, column.type)
  if (!known) throw notPlaceable(`An INSERT of a ${value.type} value for the shard key ${keyColumns[index]}`, table)
  const key = storedKey(known.value, column)
  if (key !== undefined) return key
  throw new ShardedError(
    'KEY_INVALID',
    `${name}.${keyColumns[index]} cannot be this value: its meaning depends on the database session.`,
    {
      details: { entity: entity?.name ?? name, column: keyColumns[index] },
    },
  )
}

function keyMissing({ entity, name }: ShardedTable, column: string): ShardedError {
  return new ShardedError(
    'KEY_MISSING',
    `${entity?.name ?? name}.insert: ${column} of the shard key ${entity ? keyText(entity) : name} is not set.`,
    {
      details: { entity: entity?.name ?? name, columns: [column], operation: 'insert' },
    },
  )
}

export const notPlaceable = (what: string, { name }: ShardedTable): ShardedError =>
  unsupported(`${what} cannot be placed on shards.`, { table: name })

/** Whether `@ShardedId` gives the row no value: one that is made then is new. */
export function isMissing({ columns, rows }: InsertedRows, row: number, idColumn: string | undefined): boolean {
  if (idColumn === undefined) return false
  const node = rows[row]?.[columns.indexOf(idColumn)]
  return node === undefined || 'SetToDefault' in node
}

/** Whether a primary key carries the slot of its row, and that leaves one shard. */
export const idsTellShards = ({ owners, primaryKey, idColumn = '', slotColumns }: ShardedTable): boolean =>
  primaryKey.includes(idColumn) && slotColumns.has(idColumn) && owners.shardsOfSlots([0]).length === 1
