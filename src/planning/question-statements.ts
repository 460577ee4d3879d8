import { pushTo } from '../collections/push-to'
import type { Row } from '../merging/row'
import { type Arm, armsOf, mapArms } from '../query/arm-source'
import { armOrder, type OrderTerm } from '../query/order-term'
import { KeyList, type KeySource, type SeekColumn } from '../query/page-query'
import type { Shard } from '../topology/shard'
import { armTag } from './bind-shard-names'
import { compareTo, type KeyRange, rangeConditions } from './key-range'
import type { VisitQuestion } from './ordered-shards'
import type { CountQuestion, PivotQuestion, SampleQuestion } from './pivot-search'
import { type LoadByKeyPlan, type MergePlan, route, type VisitPlan } from './read-plan'
import { buildNodeStatements, type NodeStatement } from './scatter-statement'

/** The alias of an arm as a subquery; `SeekColumn` names it. */
export const keyAlias = '"b"'

/** What is sent for a question of the search, and the order of the answers. */
export interface AskedKeys {
  readonly statements: readonly NodeStatement[]
  readonly order: readonly OrderTerm[]
}

/** The statements of a question about keys: one a node. PostgreSQL pulls the arms up, so that their indexes serve. */
export const askedKeys = (keys: KeySource, question: PivotQuestion): AskedKeys =>
  question.kind === 'sample' ? sample(keys, question) : { statements: count(keys, question), order: [] }

/** The first `limit` keys of ranges that follow each other. Without ranges: of all keys. */
export function mergedKeys(
  keys: KeySource,
  ranges: readonly KeyRange[] | undefined,
  { offset, limit, shard }: { readonly offset: number; readonly limit: number; readonly shard: Shard },
): MergePlan {
  const end = offset + limit
  const sortedBy = keys.order.map(({ descending, nullsFirst }, index) => {
    const nulls = nullsFirst ? 'NULLS FIRST' : 'NULLS LAST'
    return `${keys.sortBy[index]} ${descending ? 'DESC' : 'ASC'} ${nulls}`
  })
  const outputs = keys.outputs.map((name) => `${keyAlias}."${name}"`).join(', ')
  const parts = (ranges ?? [undefined]).map((range) =>
    mapArms(keys.arms, (arm) =>
      narrowed(arm, range && { columns: keys.columns, range }, (source) => ({
        select: `SELECT ${outputs} FROM ${source}`,
        end: ` ORDER BY ${sortedBy.join(', ')} LIMIT ${end}`,
      })),
    ),
  )
  // Ranges differ in their parameters, so that arms have lists of their own where there are several.
  const sharedParameters = parts.length === 1 && keys.arms.sharedParameters
  const order = keys.order.map(armOrder)
  const statements = buildNodeStatements(
    parts.flatMap(({ arms }) => arms),
    { order, limit: end, sharedParameters },
  )
  return Object.freeze({ kind: 'merge', source: route(statements), order: keys.order, offset, limit, shard })
}

/** What is compared and sent is made of the one row that an arm finds, not of the rows that it skips. */
function sample({ arms, columns, order, sortBy }: KeySource, { range, positions }: SampleQuestion): AskedKeys {
  const level = range.equal.length
  const column = columnOf(columns, range)
  const sorted = sortBy[level]
  const term = order[level]
  if (!term) throw new RangeError('A range of all terms has no next term.')
  const { form } = term
  const value = '"found"."__value"'
  const outputs = [
    `${column.textOf(value)} AS "__v", "found"."__arm" AS "__arm"`,
    `${form.comparable?.(value) ?? value} AS "__k", ${form.nodeOrder?.(value) ?? value} AS "__o"`,
    ...(form.witness ? [`${form.witness.sql(value)} AS "__w"`] : []),
  ].join(', ')
  const asked = armsOf(arms, positions.keys()).map((arm): Arm => {
    const found = narrowed(arm, { columns, range }, (source) => ({
      select: `SELECT ${sorted} AS "__value", ${armTag} AS "__arm" FROM ${source}`,
      end: ` ORDER BY ${sorted} ${term.descending ? 'DESC' : 'ASC'} LIMIT 1 OFFSET ${positions.get(arm.shard.index) ?? 0}`,
    }))
    return { ...arm, ...found, text: `SELECT ${outputs} FROM (${found.text}) AS "found"` }
  })
  const sampled: OrderTerm = { ...term, column: '__k', nodeColumn: '__o', witness: form.witness && '__w' }
  const { sharedParameters } = arms
  const statements = buildNodeStatements(asked, { order: [armOrder(sampled)], sharedParameters })
  return { statements, order: [sampled] }
}

/** All pivots are counted by one scan, which an index on the column serves. */
function count({ arms, columns }: KeySource, question: CountQuestion): readonly NodeStatement[] {
  const { range, pivots, shards, whole } = question
  const select = (source: string, bind: (text: string) => string): Wrapped => {
    const below = pivots.map((pivot, index) => {
      const isBelow = compareTo(columnOf(columns, range), { operator: '<', value: pivot }, bind)
      return `, COUNT(*) FILTER (WHERE ${isBelow})::text AS "__b${index}"`
    })
    return { select: `SELECT ${armTag} AS "__arm", COUNT(*)::text AS "__n"${below.join('')} FROM ${source}` }
  }
  const counted = (indexes: readonly number[], last: string | undefined): readonly Arm[] =>
    armsOf(arms, indexes).map((arm) => ({ ...arm, ...narrowed(arm, { columns, range, last }, select) }))
  const parts = [
    counted(
      shards.filter((shard) => whole.has(shard)),
      undefined,
    ),
    counted(
      shards.filter((shard) => !whole.has(shard)),
      pivots.at(-1),
    ),
  ].filter((part) => part.length > 0)
  const sharedParameters = parts.length === 1 && arms.sharedParameters
  return buildNodeStatements(parts.flat(), { sharedParameters })
}

const columnOf = (columns: readonly SeekColumn[], range: KeyRange): SeekColumn => {
  const column = columns[range.equal.length]
  if (!column) throw new RangeError('A range of all terms has no next term.')
  return column
}

interface Wrapped {
  readonly select: string
  readonly end?: string
}

interface KeyBounds {
  readonly columns: readonly SeekColumn[]
  readonly range: KeyRange
  /** Only what is before this value. */
  readonly last?: string | undefined
}

/** A statement over an arm as a subquery, with the conditions of a range. */
function narrowed(
  { text, parameters }: Arm,
  bounds: KeyBounds | undefined,
  wrap: (source: string, bind: (text: string) => string) => Wrapped,
): { readonly text: string; readonly parameters: readonly unknown[] } {
  const values = [...parameters]
  const bind = (value: string): string => `$${values.push(value)}`
  const { select, end = '' } = wrap(`(${text}) AS ${keyAlias}`, bind)
  const conditions: string[] = bounds ? [...rangeConditions(bounds.range, bounds.columns, bind)] : []
  if (bounds?.last !== undefined)
    conditions.push(compareTo(columnOf(bounds.columns, bounds.range), { operator: '<', value: bounds.last }, bind))
  const where = conditions.length > 0 ? ` WHERE ${conditions.map((one) => `(${one})`).join(' AND ')}` : ''
  return { text: `${select}${where}${end}`, parameters: values }
}

/** The statements of a question of a visit: one a node. */
export function visitStatements({ rows, counted }: VisitPlan, question: VisitQuestion): readonly NodeStatement[] {
  if (question.kind === 'count') {
    if (!counted) throw new RangeError('A visit that skips no shards counts none.')
    const arms = armsOf(counted, question.shards).map(
      (arm): Arm => ({
        ...arm,
        text: `SELECT ${armTag} AS "__arm", COUNT(*)::text AS "__n" FROM (${arm.text}) AS "rows"`,
      }),
    )
    return buildNodeStatements(arms, { sharedParameters: counted.sharedParameters })
  }
  const arms = armsOf(
    rows,
    question.windows.map(({ shard }) => shard),
  ).map((arm, index): Arm => {
    const { limit = 0, offset = 0 } = question.windows[index] ?? {}
    return { ...arm, text: `${arm.text} LIMIT ${limit}${offset > 0 ? ` OFFSET ${offset}` : ''}` }
  })
  return buildNodeStatements(arms, { sharedParameters: rows.sharedParameters })
}

/** The statements that fetch the rows of some keys: one a node, of the shards that have any of them. */
export function loadStatements({ arms }: LoadByKeyPlan, keys: readonly Row[]): readonly NodeStatement[] {
  const byArm = rowsByArm(keys)
  const loaded = armsOf(arms, byArm.keys()).map((arm): Arm => {
    const own = byArm.get(arm.shard.index) ?? []
    const parameters = arm.parameters.map((value) =>
      value instanceof KeyList ? own.map((row) => row[`__p${value.column}`]) : value,
    )
    return { ...arm, parameters }
  })
  return buildNodeStatements(loaded, { sharedParameters: false })
}

/** What tells a row: its shard and its primary key. */
export function identityOf(row: Row): string {
  const parts: unknown[] = [row['__arm']]
  for (let index = 0; row[`__p${index}`] !== undefined; index++) parts.push(row[`__p${index}`])
  return JSON.stringify(parts)
}

/** The index of the shard that a row comes from. */
export const armOf = (row: Row): number => Number(row['__arm'])

/** Rows by the index of the shard that they come from; of each shard in their order. */
export function rowsByArm(rows: readonly Row[]): ReadonlyMap<number, readonly Row[]> {
  const arms = new Map<number, Row[]>()
  for (const row of rows) pushTo(arms, armOf(row), row)
  return arms
}
