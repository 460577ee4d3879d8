import { chunksOf } from '../collections/chunks-of'
import { ShardedError, unsupported } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { InsertedRows } from '../query/write-query'
import type { ConflictTarget } from '../routing/conflict-target'
import { knownValue } from '../routing/known-value'
import { keyText } from '../routing/route'
import type { ShardedTable } from '../routing/table-catalog'
import { valueToFind } from '../routing/value-to-find'
import type { Shard } from '../topology/shard'
import { parameterText } from '../values/parameter-text'
import { quoted } from '../values/quoted'
import { armTag, placeholderSchema, tableOn } from './bind-shard-names'
import { buildNodeStatements, type NodeStatement } from './scatter-statement'
import type { WritePlan } from './write-plan'

/** Rows whose primary keys one statement looks for. */
const rowsAtOnce = 5_000

/** The rows of VALUES of an INSERT with ON CONFLICT, and the shards that their own shard keys tell. */
export interface ConflictingInsert {
  readonly table: ShardedTable
  readonly target: ConflictTarget
  readonly doesNothing: boolean
  /** Columns of the shard key that DO UPDATE sets to the values of the new row. */
  readonly setsKey: boolean
  readonly inserted: InsertedRows
  /** Rows whose id was made for them: no row has it. */
  readonly isMade: (row: number) => boolean
  readonly places: readonly number[]
  readonly shards: readonly Shard[]
}

interface LookedUp {
  readonly row: number
  /** Parameters: the primary key, then the shard key. */
  readonly values: readonly unknown[]
}

interface Found {
  readonly row: number
  readonly shard: number
  readonly hasSameKey: boolean
}

/** Answers of statements, in their order. */
type Answers = readonly (readonly Row[])[]

/** The shard of each row; undefined for a row that is left out. */
type Places = readonly (number | undefined)[]

/**
 * The plan of a write whose rows go to the shards that one database would take them to: a row whose primary key is on another shard
 * goes there, and conflicts there; by DO NOTHING it goes nowhere. The shards are asked in the transaction that inserts: all of them
 * for the primary keys whose slots do not tell. None is asked where the shard keys and slots of all rows tell.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED; when the answers are there, KEY_CHANGED, and ROW_MOVED where a row went away before it
 * was locked
 */
export function withConflictPlaces(insert: ConflictingInsert, planFor: (places: Places) => WritePlan): WritePlan {
  const { table, doesNothing } = insert
  const looked = insert.places.flatMap((_, row) => lookedUp(insert, row) ?? [])
  if (looked.length === 0) return planFor(insert.places)
  const asked: { readonly statement: NodeStatement; readonly rows: readonly LookedUp[] }[] = []
  for (const rows of chunksOf(looked, rowsAtOnce))
    for (const statement of searchFor(insert, rows)) asked.push({ statement, rows })
  const statements = asked.map(({ statement }) => statement)
  const source = sequence(statements, searchStep, (answers) => {
    const found = answers.flatMap((rows, index) => rows.map((row) => foundRow(row, asked[index]?.rows ?? [])))
    const places = foundPlaces(insert, looked, found)
    const elsewhere = found.filter(({ row, shard }) => shard !== insert.places[row])
    const locks = doesNothing ? [] : locksOf(insert, looked, elsewhere)
    if (locks.length === 0) return planFor(places)
    return sequence(locks, lockStep, (locked) => {
      if (locked.some((rows) => rows.length !== 1)) throw rowMoved(table)
      return planFor(places)
    })
  })
  const settings = { scope: 'transaction', otherwise: undefined, pace: 'at-once' } as const
  return Object.freeze({ kind: 'transaction', nodes: [], source, ...settings })
}

const sequence = (first: readonly NodeStatement[], step: string, plan: (answers: Answers) => WritePlan): WritePlan =>
  Object.freeze({ kind: 'sequence', first, step, rest: Object.freeze({ plan }) })

const searchStep = 'send each row to the shard that has its primary key, else to the shard of its shard key'
const lockStep = 'insert, where the rows that are to be updated are still there'

function foundPlaces(insert: ConflictingInsert, looked: readonly LookedUp[], all: readonly Found[]): Places {
  const places: (number | undefined)[] = [...insert.places]
  for (const found of all) {
    if (insert.setsKey && !insert.doesNothing && !found.hasSameKey) throw keyChanged(insert.table, found.row)
    if (found.shard !== insert.places[found.row]) places[found.row] = placeElsewhere(insert, found)
  }
  placeTwins(insert, looked, places)
  return places
}

/** What is to be looked up of a row; undefined where its conflict can only be on its own shard. */
function lookedUp({ table, inserted, isMade, places }: ConflictingInsert, row: number): LookedUp | undefined {
  const { columns, rows, values } = inserted
  if (isMade(row)) return undefined
  const valuesOf = (names: readonly string[]): readonly unknown[] | undefined => {
    const found: unknown[] = []
    for (const name of names) {
      const node = rows[row]?.[columns.indexOf(name)]
      // A default of the database's makes a new value.
      if (!node || 'SetToDefault' in node) return undefined
      const value = knownValue(node, { parameter: (number) => values[number - 1] })
      if (!value) throw notPlaceable(table, `whose ${name} is an expression`)
      if (value.value === null || value.value === undefined) return undefined
      found.push(valueToFind(table, name, value))
    }
    return found
  }
  const primary = valuesOf(table.primaryKey)
  const key = primary && valuesOf(table.keyColumns)
  if (!primary || !key || tellsShard(table, primary, places[row])) return undefined
  return { row, values: [...primary, ...key] }
}

/** Whether the slot in a primary key leaves one shard, the row's own. */
function tellsShard(
  { owners, primaryKey, slotColumns }: ShardedTable,
  primary: readonly unknown[],
  place: number | undefined,
) {
  return primaryKey.some((name, index) => {
    const slot = slotColumns.get(name)?.(primary[index])
    const [only, another] = slot === undefined ? [] : owners.shardsOfSlots([slot])
    return only !== undefined && another === undefined && only === place
  })
}

/**
 * Asks all shards at once. The rows go as one array a column: a condition for each row, in the arm of each shard, would take the
 * server seconds to read.
 */
function searchFor({ table, shards }: ConflictingInsert, looked: readonly LookedUp[]): readonly NodeStatement[] {
  const { primaryKey, keyColumns, hasOwnTypes } = table
  const name = `"${placeholderSchema}".${quoted(table.name)}`
  const columns = [...primaryKey, ...keyColumns].map((column, index) => {
    const type = table.columns.get(column)?.elementType
    const list = looked.map(({ values }) => values[index])
    const parameter = `$${index + 1}`
    // Arrays cannot be elements of one of another length. All else has the type of the table's own column.
    return type === undefined
      ? {
          list,
          array: `coalesce(${parameter}, ARRAY[(CAST(NULL AS ${name})).${quoted(column)}])`,
          value: `r.c${index}`,
        }
      : {
          list: list.map(parameterText),
          array: `CAST(${parameter} AS text[])`,
          value: `CAST(r.c${index} AS ${type}[])`,
        }
  })
  const equal = (names: readonly string[], first: number): string =>
    names.map((column, index) => `t.${quoted(column)} = ${columns[first + index]?.value}`).join(' AND ')
  const primary = primaryKey.map((column) => `t.${quoted(column)}`).join(', ')
  // Of rows with one primary key the first.
  const text = `SELECT DISTINCT ON (${primary}) r.n::int AS n, ${armTag} AS arm, ${equal(keyColumns, primaryKey.length)} AS same
    FROM unnest(${columns.map(({ array }) => array).join(', ')}) WITH ORDINALITY AS r(${columns.map((_, index) => `c${index}`).join(', ')}, n)
    JOIN ${name} AS t ON ${equal(primaryKey, 0)} ORDER BY ${primary}, r.n`
  const parameters = columns.map(({ list }) => list)
  return buildNodeStatements(
    shards.map((shard) => ({ shard, text, parameters })),
    { sharedParameters: !hasOwnTypes },
  )
}

const foundRow = (row: Row, looked: readonly LookedUp[]): Found => ({
  row: looked[Number(row['n']) - 1]?.row ?? 0,
  shard: Number(row['arm']),
  hasSameKey: row['same'] === true,
})

function placeElsewhere({ table, target, doesNothing }: ConflictingInsert, { shard }: Found): number | undefined {
  if (target === 'constraint')
    throw notPlaceable(table, 'by the name of a constraint, with a primary key of another shard,')
  return doesNothing ? undefined : shard
}

/** On the same shard it could be set: but whether two keys share a shard is nothing that a caller should depend on. */
function keyChanged({ entity, name }: ShardedTable, row: number): ShardedError {
  return new ShardedError(
    'KEY_CHANGED',
    `Row ${row + 1} of the INSERT has the primary key of a row with another ${entity ? keyText(entity) : name}, which ON CONFLICT would set.`,
    { details: { entity: entity?.name ?? name, row }, fix: moveFirst },
  )
}

const rowMoved = ({ entity, name }: ShardedTable): ShardedError =>
  new ShardedError(
    'ROW_MOVED',
    `A row of ${entity?.name ?? name} went away while an INSERT with ON CONFLICT looked at it.`,
    { details: { entity: entity?.name ?? name } },
  )

/** The way out where ON CONFLICT sets a shard key: it moves no row. */
export const moveFirst =
  'Move the row first with repository.move(entity, newKey), or leave the shard key out of what ON CONFLICT sets.'

/** A row that is to be updated where it is must still be there when the INSERT comes: it would be inserted on the wrong shard. */
function locksOf(
  { table, shards }: ConflictingInsert,
  looked: readonly LookedUp[],
  elsewhere: readonly Found[],
): readonly NodeStatement[] {
  const valuesOf = new Map(looked.map(({ row, values }) => [row, values]))
  const where = table.primaryKey.map((name, index) => `${quoted(name)} = $${index + 1}`).join(' AND ')
  return elsewhere.flatMap(({ row, shard: index }) => {
    const shard = shards[index]
    if (!shard) return []
    const text = `SELECT 1 FROM ${tableOn(table.name, shard)} WHERE ${where} FOR UPDATE`
    const parameters = valuesOf.get(row)?.slice(0, table.primaryKey.length) ?? []
    return { node: shard.node, shards: [shard.name], text, parameters }
  })
}

/** Rows of one statement with one primary key: as on one database the later ones conflict with the first, on its shard. */
function placeTwins(
  { table, doesNothing }: ConflictingInsert,
  looked: readonly LookedUp[],
  places: (number | undefined)[],
): void {
  const first = new Map<string, number>()
  for (const { row, values } of looked) {
    const text = JSON.stringify(values.slice(0, table.primaryKey.length).map(String))
    const twin = first.get(text)
    if (twin === undefined) first.set(text, row)
    else if (places[twin] !== undefined && places[twin] !== places[row])
      places[row] = doesNothing ? undefined : places[twin]
  }
}

const notPlaceable = ({ entity, name }: ShardedTable, what: string): ShardedError =>
  unsupported(
    `An INSERT into ${entity?.name ?? name} with ON CONFLICT, ${what} cannot be placed on shards. Give the primary key as a value, and name its columns in ON CONFLICT.`,
    { table: name },
  )
