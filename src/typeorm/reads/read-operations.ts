import type { EntityManager, FindManyOptions, ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import { executeRead } from '../../execution/execute-read'
import { combineAverage, combineCounts, combineExtreme, combineSum } from '../../merging/combine-aggregate'
import { explainEntities } from '../../planning/explain-plan'
import { type Explanation, explain } from '../../planning/explanation'
import { passThrough } from '../../planning/page-strategy'
import { route } from '../../planning/read-plan'
import { type NodeStatement, routeArms } from '../../planning/scatter-statement'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { numberKind } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { hydrate, reload } from '../hydration/hydrate'
import type { ShardAccess } from '../runners/shard-access'
import { statementOn } from '../runners/statement-on'
import type { ReadScope } from './find-query'
import { newBuilder } from './find-scope'
import { planFind } from './plan-find'
import { readHost } from './read-host'
import { shardArmsLater } from './shard-arms'

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

async function findPage(read: ReadScope, options: Options) {
  const { access, binding } = read
  const { plan, builder, isPaged } = planFind(read, options)
  const rows = await executeRead(plan.source, readHost(access))
  if (plan.load === 'by-key') return reload(access, binding, { builder, rows, options, isPaged })
  // Of a row in which all that is selected is null TypeORM makes no entity, and counts none.
  return { entities: await hydrate(access, binding, builder, rows), isWhole: true }
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

export type AggregateFunction = 'SUM' | 'AVG' | 'MIN' | 'MAX'

/** `sum`, `average`, `minimum`, `maximum` over several shards, in the arithmetic of PostgreSQL. */
export async function scatterAggregate(
  read: ReadScope,
  { fn, propertyPath, where }: { fn: AggregateFunction; propertyPath: string; where: Options['where'] },
): Promise<number | null> {
  const { access, binding, shards } = read
  const { metadata, entity } = binding
  const column = metadata.columns.find((one) => one.propertyPath === propertyPath)
  if (!column) throw new RangeError(`${entity.name} has no column ${propertyPath}`)
  const kind = numberKind(column)
  if (!kind) throw notANumber(entity.name, propertyPath, fn)
  const make = (builder: ArmQueryBuilder<ObjectLiteral>) => {
    const expression = `${builder.escape(builder.alias)}.${builder.escape(column.databaseName)}`
    builder.setOption('disable-global-order')
    const wide = kind === 'float' && fn === 'AVG' ? `${expression}::float8` : expression
    builder.select(fn === 'AVG' ? `SUM(${wide})::text` : `${fn}(${expression})::text`, 'value')
    if (fn === 'AVG') builder.addSelect(`COUNT(${expression})::text`, 'count')
    return builder.statement()
  }
  const statements = await planArms(read, { options: where === undefined ? {} : { where } }, make)
  const rows = (await access.query(statements)).flat()
  const values = rows.map((row) => (row['value'] === null ? null : String(row['value'])))
  if (fn === 'AVG')
    return finishAverage(
      access,
      shards,
      kind,
      rows.map((row, index) => ({ sum: values[index] ?? null, count: String(row['count']) })),
    )
  return finish(fn, kind, values)
}

function notANumber(entity: string, propertyPath: string, fn: string): ShardedError {
  return new ShardedError(
    'SCATTER_UNSUPPORTED',
    `${fn} of ${entity}.${propertyPath} over several shards takes a column of numbers.`,
    {
      details: { entity, column: propertyPath },
    },
  )
}

function finish(
  fn: 'SUM' | 'MIN' | 'MAX',
  kind: 'integer' | 'numeric' | 'float',
  values: readonly (string | null)[],
): number | null {
  if (kind === 'float') {
    const numbers = values.map((value) => (value === null ? null : Number(value)))
    const result = fn === 'SUM' ? combineSum(numbers, 'float') : combineExtreme(numbers, fn, 'float')
    return parsed(result)
  }
  const text = fn === 'SUM' ? combineSum(values, 'exact') : combineExtreme(values, fn, 'numeric')
  return text === null ? null : Number.parseFloat(text)
}

/** TypeORM's parseFloat makes 0 of -0. */
const parsed = (value: number | null): number | null => (value === null ? null : value + 0)

async function finishAverage(
  access: ShardAccess,
  shards: readonly Shard[],
  kind: 'integer' | 'numeric' | 'float',
  parts: readonly { readonly sum: string | null; readonly count: string }[],
): Promise<number | null> {
  if (kind === 'float')
    return parsed(combineAverage(parts.map(({ sum, count }) => ({ sum: sum === null ? null : Number(sum), count }))))
  const sum = combineSum(
    parts.map((part) => part.sum),
    'exact',
  )
  const [first] = shards
  if (sum === null || !first) return null
  // PostgreSQL's own division: its scale and rounding are its own.
  const count = String(combineCounts(parts.map((part) => part.count)))
  const statement = {
    node: first.node,
    shards: [first.name],
    text: 'SELECT ($1::numeric / $2::numeric)::text AS value',
    parameters: [sum, count],
  }
  const [rows = []] = await access.query([statement])
  return Number.parseFloat(String(rows[0]?.['value']))
}

/** The plan of a find, without running it. */
export function explainFind(read: ReadScope, options: Options, reason: string): Explanation {
  const { access, binding, shards } = read
  const [only, another] = shards
  const about = {
    entity: binding.entity.name,
    operation: 'find',
    shards: Object.freeze(shards.map((shard) => shard.name)),
    reason,
  }
  if (only && !another) {
    const statements = Object.freeze([singleStatement(access, binding, only, options)])
    return explain({ ...about, page: passThrough, plan: route(statements), statements, steps: [] })
  }
  const { plan } = planFind(read, options)
  return explain({ ...about, page: plan.page, plan, ...explainEntities(plan) })
}

function singleStatement(
  access: ShardAccess,
  { metadata }: EntityBinding,
  shard: Shard,
  options: Options,
): NodeStatement {
  const manager: EntityManager = access.runtime.managerOf(shard)
  const builder = manager.createQueryBuilder(metadata.target, metadata.name).setFindOptions(options as never)
  return statementOn(shard, builder)
}
