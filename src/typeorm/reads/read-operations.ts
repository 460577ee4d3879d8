import type { EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { pushTo } from '../../collections/push-to'
import { sqlState } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import { executeRead } from '../../execution/execute-read'
import { combineCounts, combineExtreme } from '../../merging/combine-partials'
import { physicalName } from '../../planning/bind-shard-names'
import { columnTypesText, typesOf } from '../../planning/describe-query'
import { type AggregateFunction, type AggregateType, finishAggregate } from '../../planning/finish-aggregate'
import { route } from '../../planning/read-plan'
import { type NodeStatement, routeArms } from '../../planning/scatter-statement'
import { checked, isFailedCheck } from '../../planning/schema-check'
import type { EntityBinding } from '../binding/entity-binding'
import { knownType, learnType, numberKind } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { isPlain } from '../find/find-predicate'
import { hydrate, present, reload } from '../hydration/hydrate'
import type { ShardAccess } from '../runners/shard-access'
import { newBuilder, type ReadScope } from './find-scope'
import type { FindShape } from './find-shape'
import { knownPlan, type PlannedFind, planFind } from './plan-find'
import { shardArmsLater } from './shard-arms'

type Options = FindManyOptions<ObjectLiteral>

/** `find` over several shards. */
export async function scatterFind(read: ReadScope, options: Options): Promise<ObjectLiteral[]> {
  return (await findPage(read, options)).entities
}

/** `findAndCount` over several shards; like TypeORM it counts only where the page does not tell. */
export async function scatterFindAndCount(read: ReadScope, options: Options): Promise<[ObjectLiteral[], number]> {
  const { entities, isWhole } = await findPage(read, options)
  // A private method of TypeORM's builder, which tells by the page how many rows there are.
  const counter = newBuilder(read, options) as unknown as { lazyCount(result: object): number | undefined }
  // Rows that went away between their keys and themselves make a page short that is not the last.
  const known = isWhole ? counter.lazyCount({ entities }) : undefined
  return [entities, known ?? (await scatterCount(read, options))]
}

/** As `scatterFind`, of a shape of options whose plan is remembered. @returns undefined where it is not */
export function scatterFindAgain(read: ReadScope, shape: FindShape): (() => Promise<ObjectLiteral[]>) | undefined {
  const planned = knownPlan(read, shape)
  return planned && (() => withTrueTypes(read, () => rowsOfPage(read, planned())))
}

async function rowsOfPage({ access, binding }: ReadScope, { plan, builder }: PlannedFind): Promise<ObjectLiteral[]> {
  return present(await hydrate(access, { binding, builder, rows: await executeRead(plan.source, access) }))
}

const findPage = (read: ReadScope, options: Options) => withTrueTypes(read, () => readPage(read, options))

async function readPage(read: ReadScope, options: Options) {
  const { access, binding } = read
  const { plan, builder, isPaged } = planFind(read, options)
  // Of a row in which all that is selected is null TypeORM makes no entity, and counts none.
  if (plan.load !== 'by-key') return { entities: await rowsOfPage(read, { plan, builder, isPaged }), isWhole: true }
  const rows = await executeRead(plan.source, access)
  const { places, isWhole } = await reload(access, binding, { builder, rows, options, isPaged })
  // Rows that went away between the two statements are left out, as if the find had come later.
  return { entities: present(places), isWhole }
}

/** One statement a node for each shard's part, of a kind that TypeORM makes (count, exists, an aggregate). */
async function planArms(
  read: ReadScope,
  { options, limit }: { options: Options; limit?: number },
  make: Parameters<typeof shardArmsLater>[2],
): Promise<readonly NodeStatement[]> {
  return routeArms(await shardArmsLater(read, options, make), { limit })
}

/** `count` over several shards: the sum of the shards' counts, where no two shards can count the same thing. */
export async function scatterCount(read: ReadScope, options: Options): Promise<number> {
  const statements = await planArms(read, { options }, (builder) => builder.countStatement())
  const rows = (await read.access.query(statements)).flat()
  return Number(combineCounts(rows.map((row) => String(row['cnt'] ?? 0))))
}

/** COUNT(DISTINCT …) may be summed where equal tuples lie on one shard: with the whole shard key or primary key in them. */
export function countsAreDisjoint({ entity, metadata }: EntityBinding, select: Options['select']): boolean {
  if (select === undefined) return true
  const isSelected = ({ propertyPath }: { readonly propertyPath: string }) =>
    propertyPath
      .split('.')
      .reduce<unknown>((part, name) => (part === true ? true : isPlain(part) ? part[name] : undefined), select) === true
  return entity.keyColumns.every(isSelected) || metadata.primaryColumns.every(isSelected)
}

/** `exists` over several shards: each node stops at its first row, and all when one has found it. */
export async function scatterExists(read: ReadScope, options: Options): Promise<boolean> {
  const statements = await planArms(read, { options, limit: 1 }, (builder) => builder.existsStatement())
  const isFound = (rows: readonly unknown[]): boolean => rows.length > 0
  return (await read.access.query(statements, undefined, isFound)).some(isFound)
}

interface Aggregated {
  readonly fn: AggregateFunction
  readonly propertyPath: string
  readonly where: Options['where']
}

/**
 * `sum`, `average`, `minimum`, `maximum` over several shards: PostgreSQL adds and divides, on one node.
 *
 * @returns undefined if the column turns out to hold no numbers
 */
export const scatterAggregate = (read: ReadScope, aggregated: Aggregated): Promise<number | null | undefined> =>
  withTrueTypes(read, () => aggregate(read, aggregated))

async function aggregate(read: ReadScope, { fn, propertyPath, where }: Aggregated) {
  const { access, binding, shards } = read
  const { metadata, entity } = binding
  const column = metadata.columns.find((one) => one.propertyPath === propertyPath)
  if (!column) throw new RangeError(`${entity.name} has no column ${propertyPath}`)
  const type = aggregateType(column, fn)
  const [shard] = shards
  if (!type || !shard) return undefined
  const make = (builder: ArmQueryBuilder<ObjectLiteral>) => {
    const expression = builder.sqlOf(column)
    builder.setOption('disable-global-order')
    const partial = fn === 'AVG' ? `SUM(${expression}::${type})::text` : `${fn}(${expression})::text`
    // MIN has the type of its argument.
    const expressions = [[`MIN(${expression})`, knownType(column)]] as const
    builder.select(checked(partial, 'text', { expressions, tables: [] }), 'value')
    if (fn === 'AVG') builder.addSelect(`COUNT(${expression})::text`, 'count')
    return builder.statement()
  }
  const statements = await planArms(read, { options: where === undefined ? {} : { where } }, make)
  const value =
    fn === 'SUM' || fn === 'AVG'
      ? (await executeRead(finishAggregate(route(statements), { fn, type, shard }), access))[0]?.['value']
      : extremeOf(await valuesOf(access, statements), fn, type)
  // As TypeORM reads it; its parseFloat makes 0 of -0.
  return value == null ? null : Number.parseFloat(String(value)) + 0
}

const valuesOf = async (access: ShardAccess, statements: readonly NodeStatement[]) =>
  (await access.query(statements)).flat().map((row) => (row['value'] === null ? null : String(row['value'])))

/** As the database compares them: texts of floats may have an exponent. */
const extremeOf = (values: readonly (string | null)[], fn: 'MIN' | 'MAX', type: AggregateType) =>
  type === 'numeric'
    ? combineExtreme(values, fn, 'numeric')
    : combineExtreme(
        values.map((value) => (value === null ? null : Number(value))),
        fn,
        'float',
      )

/** An average of `real` is one of double precision, as in PostgreSQL. */
function aggregateType(column: ColumnMetadata, fn: AggregateFunction): AggregateType | undefined {
  const kind = numberKind(column)
  if (kind !== 'float') return kind && 'numeric'
  return fn === 'AVG' || knownType(column).name !== 'real' ? 'double precision' : 'real'
}

/**
 * Runs a read whose statements carry the types that it was planned for. If the tables have others, since they were altered or are declared
 * otherwise, the types are learnt, and the read is planned and run once more.
 *
 * @throws ShardedError PLAN_STALE in a transaction, which the server has aborted, and while the shards of a table differ
 */
export async function withTrueTypes<T>(scope: ReadScope, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    // What a plan makes of a value (`extract`, `enum_range`) may not exist for the type that a column has.
    if (!sqlState(error)?.startsWith('42')) throw error
    const hasNews = await learnTypes(scope).catch(() => false)
    if (!hasNews && !isFailedCheck(error, '')) throw error
    if (!hasNews || scope.access.transaction) throw typesDiffer(scope, error)
    return read().catch((again: unknown) => {
      throw isFailedCheck(again, '') ? typesDiffer(scope, again) : again
    })
  }
}

const typesDiffer = ({ binding: { entity } }: ReadScope, cause: unknown): ShardedError =>
  new ShardedError(
    'PLAN_STALE',
    `The tables of ${entity.name} have other types than a read was planned for, or not the same on all shards: ${String(cause)}.`,
    { details: { entity: entity.name }, cause },
  )

/** Asks a shard for the types of the columns of all entities that stand there. @returns true if one is not as it was known */
async function learnTypes({ access, binding, shards: [shard] }: ReadScope): Promise<boolean> {
  if (!shard) return false
  const entities = new Map<string, EntityMetadata[]>()
  for (const metadata of binding.metadata.dataSource.entityMetadatas) {
    const { schema, name } = physicalName(metadata.tableName, shard)
    pushTo(entities, `${schema}.${name}`, metadata)
  }
  const names = [...entities.keys()]
  const { rows } = await access.runtime.pool(shard.node).background.query(columnTypesText, [names])
  let hasNews = false
  for (const [index, type] of typesOf(rows).entries()) {
    const { table, column: name } = rows[index] ?? {}
    for (const { columns } of entities.get(String(table)) ?? [])
      for (const column of columns) if (column.databaseName === name) hasNews = learnType(column, type) || hasNews
  }
  return hasNews
}
