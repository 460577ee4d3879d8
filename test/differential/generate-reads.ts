import { type ColumnSpec, type EntitySpec, primaryOf, specs } from './columns'
import type { Data, DataObject } from './data'
import { put, where } from './generate-where'
import type { Call, Comparison } from './operation'
import type { Rng } from './rng'

const directions: readonly Data[] = [
  'ASC',
  'DESC',
  'asc',
  'desc',
  1,
  -1,
  { direction: 'ASC', nulls: 'FIRST' },
  { direction: 'ASC', nulls: 'LAST' },
  { direction: 'DESC', nulls: 'FIRST' },
  { direction: 'DESC', nulls: 'LAST' },
]

const sortable = (spec: EntitySpec): readonly ColumnSpec[] => spec.columns.filter((column) => !column.isHidden)

interface Order {
  readonly order: DataObject
  readonly isTotal: boolean
  readonly paths: readonly string[]
}

function makeOrder(rng: Rng, spec: EntitySpec): Order {
  const chosen = rng.oneIn(6) ? [] : rng.some(sortable(spec), 3)
  let order: DataObject = {}
  for (const column of chosen) order = put(order, column.path, rng.pick(directions))
  if (spec.parent && rng.oneIn(8))
    order = put(
      order,
      `${spec.parent.property}.${rng.pick(sortable(specs[spec.parent.entity])).path}`,
      rng.pick(directions),
    )
  const isTotal = !rng.oneIn(8)
  // The primary key comes last: it may be there already, as one that is sorted by.
  if (isTotal)
    for (const column of primaryOf(spec))
      if (!chosen.includes(column)) order = put(order, column.path, rng.pick(directions))
  const isByRelation = spec.parent !== undefined && spec.parent.property in order
  const known = chosen.length > 0 || isTotal ? chosen.map((column) => column.path) : []
  const isKnownTotal = isTotal || primaryOf(spec).every((column) => chosen.includes(column))
  return { order, isTotal: isKnownTotal, paths: isByRelation ? [] : known }
}

/** To TypeORM all but `false` and `undefined` selects a column. */
const selecting: readonly Data[] = [1, 0, 'yes', null]

/** @param keyless the primary key is missing once in so many times */
function makeSelect(rng: Rng, spec: EntitySpec, keyless = 4): DataObject {
  let select: DataObject = {}
  const chosen = rng.some(spec.columns, 4)
  for (const column of chosen) select = put(select, column.path, rng.oneIn(8) ? rng.pick(selecting) : true)
  if (!rng.oneIn(keyless)) for (const column of primaryOf(spec)) select = put(select, column.path, true)
  return select
}

/** Columns of the entity, and of the related ones where they are loaded. */
function selected(rng: Rng, spec: EntitySpec, relation: EntitySpec['parent']): DataObject {
  if (!relation) return makeSelect(rng, spec)
  const own = makeSelect(rng, spec, 2)
  return rng.oneIn(3) ? own : { ...own, [relation.property]: makeSelect(rng, specs[relation.entity]) }
}

/** Locks of rows. SKIP LOCKED beside a page, which a findOne has too, is refused over shards: see `test/parity/sql/locks.test.ts`. */
export const lockOf = (rng: Rng): DataObject => ({
  mode: rng.pick(['pessimistic_read', 'pessimistic_write', 'dirty_read', 'for_no_key_update', 'for_key_share']),
  ...(rng.oneIn(4) && { onLocked: 'nowait' }),
})

const pages: readonly number[] = [0, 1, 2, 3, 5, 8, 13, 40, 100]
/** PostgreSQL rounds the fractions, and refuses what is below zero or past its bigint; where TypeORM writes no page, none counts. */
const oddPages: readonly number[] = [-2, -1, -0.5, -0.4, 0.4, 0.5, 1.5, 2.5, 7.4, 1e18, 1e19, 1e21]
const pageNumber = (rng: Rng): number => rng.pick(rng.oneIn(12) ? oddPages : pages)

export interface MadeFind {
  readonly options: DataObject
  readonly isTotal: boolean
  readonly paths: readonly string[]
  readonly isPaged: boolean
}

/** Find options, and how far their order goes. */
export function makeFind(rng: Rng, spec: EntitySpec): MadeFind {
  const { order, isTotal, paths } = makeOrder(rng, spec)
  const relation = spec.children ?? spec.parent
  const withRelation = relation !== undefined && rng.oneIn(5)
  // Rows of which only nulls are selected give no entity: which these are, only a total order says.
  const select =
    isTotal && rng.oneIn(withRelation ? 2 : 5) ? selected(rng, spec, withRelation ? relation : undefined) : undefined
  const skip = rng.oneIn(3) ? pageNumber(rng) : undefined
  const take = rng.oneIn(2) ? pageNumber(rng) : undefined
  const options: DataObject = {
    ...(!rng.oneIn(4) && { where: where(rng, spec) }),
    ...(Object.keys(order).length > 0 && { order }),
    ...(select && { select }),
    ...(skip !== undefined && { skip }),
    ...(take !== undefined && { take }),
    ...(spec.hasDeleteDate && rng.oneIn(6) && { withDeleted: true }),
    ...(withRelation && { relations: { [relation.property]: true } }),
    ...(withRelation && rng.oneIn(3) && { relationLoadStrategy: 'query' }),
    ...(relation &&
      !withRelation &&
      rng.oneIn(10) && { loadRelationIds: rng.pick<Data>([true, { relations: [relation.property] }]) }),
    ...(rng.oneIn(12) && { loadEagerRelations: false }),
    ...(rng.oneIn(15) && { cache: rng.pick<Data>([true, 50]) }),
    // Outside of a transaction an error.
    ...(rng.oneIn(60) && { lock: lockOf(rng) }),
    ...(rng.oneIn(15) && { comment: 'why: a test' }),
  }
  return { options, isTotal, paths, isPaged: skip !== undefined || take !== undefined }
}

/** Few columns beside a relation, and the primary key or not: TypeORM makes no entity of a row in which they are all NULL. */
function makeFewColumns(rng: Rng, spec: EntitySpec, relation: NonNullable<EntitySpec['parent']>): DataObject {
  const nullable = spec.columns.filter((column) => column.nullable && !column.isHidden)
  const columns = [...rng.some(nullable, 2), ...(rng.oneIn(3) ? primaryOf(spec) : [])]
  const related = specs[relation.entity]
  const select = columns.reduce((made, { path }) => put(made, path, rng.oneIn(3) ? rng.pick(selecting) : true), {})
  return {
    select: rng.oneIn(3) ? { ...select, [relation.property]: makeSelect(rng, related) } : select,
    relations: { [relation.property]: true },
    order: primaryOf(spec).reduce((made, { path }) => put(made, path, rng.pick(directions)), {}),
    ...(rng.oneIn(3) && { relationLoadStrategy: 'query' }),
    ...(rng.oneIn(3) && { where: where(rng, spec) }),
    ...(rng.oneIn(6) && { take: pageNumber(rng) }),
  }
}

function comparisonOf({ isTotal, paths, isPaged }: MadeFind): Comparison {
  return isTotal ? 'exact' : { sortedBy: paths, isPaged }
}

const aggregates = ['sum', 'average', 'minimum', 'maximum'] as const
const numeric = new Set<string>(['smallint', 'int', 'bigint', 'numeric', 'price', 'double'])

/** A read, of any kind. Its arguments may be changed while it is under way. */
export function makeRead(rng: Rng, spec: EntitySpec): Call {
  const read = makeUnchanged(rng, spec)
  const changedTo = rng.oneIn(10) ? read.args.map((argument) => another(rng, spec, argument)) : undefined
  return changedTo ? { ...read, changedTo } : read
}

const optionNames = ['select', 'relations', 'order', 'skip', 'take', 'loadEagerRelations', 'withDeleted', 'comment']

/** Options, or a condition, for the next call. TypeORM reads what it selects, and loads by queries of their own, late. */
function another(rng: Rng, spec: EntitySpec, argument: Data): Data {
  if (typeof argument !== 'object' || argument === null) return argument
  const given = argument as DataObject
  const areOptions = 'where' in given || optionNames.some((name) => name in given)
  if (!areOptions) return where(rng, spec)
  if ('relationLoadStrategy' in given) return { ...given, ...('where' in given && { where: where(rng, spec) }) }
  const { select: _select, ...options } = makeFind(rng, spec).options
  return { ...options, ...('select' in given && { select: given['select'] ?? null }) }
}

function makeUnchanged(rng: Rng, spec: EntitySpec): Call {
  const call = (method: string, args: readonly Data[], compare: Comparison = 'exact'): Call => ({
    do: 'call',
    entity: spec.name,
    method,
    args,
    compare,
  })
  const relation = spec.children ?? spec.parent
  return rng.weighted<Call>([
    [
      relation ? 5 : 0,
      () => call(rng.pick(['find', 'findAndCount', 'stream']), [relation ? makeFewColumns(rng, spec, relation) : {}]),
    ],
    [
      30,
      () => {
        const find = makeFind(rng, spec)
        return call('find', [find.options], comparisonOf(find))
      },
    ],
    [
      4,
      () => {
        const find = makeFind(rng, spec)
        const { lock: _lock, cache: _cache, loadRelationIds: _ids, ...options } = find.options
        return call('stream', [options], comparisonOf(find))
      },
    ],
    [
      12,
      () => {
        const find = makeFind(rng, spec)
        return call('findAndCount', [find.options], comparisonOf(find))
      },
    ],
    [6, () => call(rng.pick(['findBy', 'findAndCountBy']), [where(rng, spec)], { sortedBy: [], isPaged: false })],
    [
      8,
      () => {
        const { options, isTotal } = makeFind(rng, spec)
        const { skip: _skip, take: _take, where: given = where(rng, spec), ...rest } = options
        return call(
          rng.pick(['findOne', 'findOneOrFail']),
          [{ ...rest, where: given }],
          isTotal ? 'exact' : 'one-of-many',
        )
      },
    ],
    [4, () => call(rng.pick(['findOneBy', 'findOneByOrFail']), [where(rng, spec)], 'one-of-many')],
    [
      8,
      () => {
        const { select, relations: _relations, lock: _lock, ...rest } = makeFind(rng, spec).options
        // Selected columns are counted by their different values.
        return call('count', [{ ...rest, ...(rng.oneIn(3) && select !== undefined && { select }) }])
      },
    ],
    [5, () => call('countBy', [where(rng, spec)])],
    [
      4,
      () => {
        return call('exists', [makeFind(rng, spec).options])
      },
    ],
    [4, () => call('existsBy', [where(rng, spec)])],
    [
      12,
      () => {
        const aggregate = rng.pick(aggregates)
        const column = rng.pick(spec.columns.filter((one) => numeric.has(one.kind)))
        // A list that has no condition, or a missing one, is all rows.
        return call(aggregate, rng.oneIn(4) ? [column.path] : [column.path, where(rng, spec, { relations: false })])
      },
    ],
    [2, () => makePreload(rng, spec)],
  ])
}

function makePreload(rng: Rng, spec: EntitySpec): Call {
  let like: DataObject = {}
  for (const column of primaryOf(spec)) like = put(like, column.path, rng.pick(column.values ?? []))
  like = { ...like, name: 'preloaded' }
  if (specs[spec.name].columns.some((column) => column.path === 'address.city')) like = put(like, 'address.city', 'é')
  return { do: 'call', entity: spec.name, method: 'preload', args: [like], compare: 'exact' }
}
