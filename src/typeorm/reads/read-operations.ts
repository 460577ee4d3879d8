import type { EntityManager, FindManyOptions, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { executeRead } from '../../execution/execute-read'
import { combineCounts, combineExtreme } from '../../merging/combine-partials'
import { explainEntities } from '../../planning/explain-plan'
import { type Explanation, explain } from '../../planning/explanation'
import { type AggregateFunction, type AggregateType, finishAggregate } from '../../planning/finish-aggregate'
import { passThrough } from '../../planning/page-strategy'
import { route } from '../../planning/read-plan'
import { type NodeStatement, routeArms } from '../../planning/scatter-statement'
import { checked } from '../../planning/schema-check'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { knownType, numberKind } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { hydrate, reload } from '../hydration/hydrate'
import type { ShardAccess } from '../runners/shard-access'
import { statementOn } from '../runners/statement-on'
import type { ReadScope } from './find-query'
import { newBuilder } from './find-scope'
import type { FindShape } from './find-shape'
import { knownPlan, type PlannedFind, planFind } from './plan-find'
import { shardArmsLater } from './shard-arms'
import { withTrueTypes } from './true-types'

type Options = FindManyOptions<ObjectLiteral>

/** `find` over several shards. */
export async function scatterFind(read: ReadScope, options: Options): Promise<ObjectLiteral[]> {
  return (await findPage(read, options)).entities
}

/** `findAndCount` over several shards; like TypeORM it counts only where the page does not tell. */
export async function scatterFindAndCount(read: ReadScope, options: Options): Promise<[ObjectLiteral[], number]> {
  const { entities, isWhole } = await findPage(read, options)
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
  return hydrate(access, { binding, builder, rows: await executeRead(plan.source, access) })
}

const findPage = (read: ReadScope, options: Options) => withTrueTypes(read, () => readPage(read, options))

async function readPage(read: ReadScope, options: Options) {
  const { access, binding } = read
  const { plan, builder, isPaged } = planFind(read, options)
  // Of a row in which all that is selected is null TypeORM makes no entity, and counts none.
  if (plan.load !== 'by-key') return { entities: await rowsOfPage(read, { plan, builder, isPaged }), isWhole: true }
  const rows = await executeRead(plan.source, access)
  return reload(access, binding, { builder, rows, options, isPaged })
}

/** One statement a node for each shard's part, of a kind that TypeORM makes (count, exists, an aggregate). */
async function planArms(
  read: ReadScope,
  { options, limit }: { options: Options; limit?: number },
  make: Parameters<typeof shardArmsLater>[2],
): Promise<readonly NodeStatement[]> {
  return routeArms(await shardArmsLater(read, options, make), { order: [], limit })
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
      .reduce<unknown>((part, name) => (part === true ? true : (part as ObjectLiteral | undefined)?.[name]), select) ===
    true
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
    const expression = `${builder.escape(builder.alias)}.${builder.escape(column.databaseName)}`
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

/** The plan of a find, without running it. */
export function explainFind(read: ReadScope, options: Options, reason: string): Explanation {
  const { binding, shards } = read
  const [only, another] = shards
  const about = {
    entity: binding.entity.name,
    operation: 'find',
    shards: Object.freeze(shards.map((shard) => shard.name)),
    reason,
  }
  if (only && !another) {
    const statements = Object.freeze([singleStatement(read, only, options)])
    return explain({ ...about, page: passThrough, plan: route(statements), statements, steps: [] })
  }
  const { plan } = planFind(read, options)
  return explain({ ...about, page: plan.page, plan, ...explainEntities(plan) })
}

function singleStatement({ access, binding: { metadata } }: ReadScope, shard: Shard, options: Options): NodeStatement {
  const manager: EntityManager = access.runtime.managerOf(shard)
  const builder = manager.createQueryBuilder(metadata.target, metadata.name).setFindOptions(options as never)
  return statementOn(shard, builder)
}
