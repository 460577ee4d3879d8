import { type ColumnSpec, type EntitySpec, keysOf, primaryOf, specs } from './columns'
import { type Data, type DataObject, op } from './data'
import { poolOf, put, rowValue, where } from './generate-where'
import type { Call, Loaded, Made } from './operation'
import { sqlSubquery } from './own-sql'
import { createRng, type Rng, seedOf } from './rng'
import { idOwners } from './sharded-ids'

type Written = Call | Loaded | Made

/** A row with this primary key. Columns that are bound to it have the same value each time. */
function rowFor(
  rng: Rng,
  spec: EntitySpec,
  primary: DataObject,
  share: number,
  makeValue: (rng: Rng, column: ColumnSpec) => Data = rowValue,
): DataObject {
  let row: DataObject = primary
  const fixed = createRng(seedOf(1, JSON.stringify(primary)))
  for (const column of spec.columns) {
    if (column.isPrimary) continue
    const isBound = spec.bound.includes(column.path)
    if (isBound) row = put(row, column.path, boundValue(fixed, spec, column, row))
    else if (!column.nullable || rng.int(100) < share) row = put(row, column.path, makeValue(rng, column))
  }
  return row
}

/** A child of a parcel, or of a bill, has its parent's owner; one without has an owner of its own. */
function boundValue(fixed: Rng, { parent }: EntitySpec, column: ColumnSpec, row: DataObject): Data {
  if (column.ofId) return column.ofId(String(row['id']))
  const above = parent && specs[parent.entity]
  if (!above || column.isKey || column.path !== above.children?.foreignKey) return fixed.pick(poolOf(column))
  if (fixed.oneIn(3)) return null
  const parents = poolOf(above.columns[0] as ColumnSpec)
  const own = parents.filter((id) => boundOwner(above, id) === row['owner'])
  return own.length > 0 ? fixed.pick(own) : null
}

const boundOwner = (spec: EntitySpec, id: Data): Data => {
  const fixed = createRng(seedOf(1, JSON.stringify({ id })))
  return boundValue(fixed, spec, spec.columns[1] as ColumnSpec, { id })
}

const primaryFor = (rng: Rng, spec: EntitySpec, wide?: number): DataObject =>
  primaryOf(spec).reduce<DataObject>(
    (id, column) =>
      put(id, column.path, wide !== undefined && column.wide ? column.wide(wide) : rng.pick(poolOf(column))),
    {},
  )

interface RowOptions {
  /** In a hundred: how many of the columns that may be null are set. */
  readonly share?: number
  /** Primary keys that hardly any other row has. */
  readonly isFresh?: boolean
  readonly makeValue?: (rng: Rng, column: ColumnSpec) => Data
}

/**
 * Rows to insert: a child may have come to another parent by `save`, and an insert does not look for its primary key on other
 * shards.
 */
export const mustBeFresh = (spec: EntitySpec): boolean => spec.parent !== undefined || moves(spec)

/** Whether writes move its rows, so that a primary key may be found under another shard key than the one bound to it. */
const moves = ({ name }: EntitySpec): boolean => name === 'Happening' || name === 'Member'

/** Rows with different primary keys. */
export function makeRows(
  rng: Rng,
  spec: EntitySpec,
  count: number,
  { share = 70, isFresh = false, makeValue }: RowOptions = {},
): readonly DataObject[] {
  const rows = new Map<string, DataObject>()
  for (let n = 0; n < count; n += 1) {
    const primary = primaryFor(rng, spec, isFresh ? 1000 + rng.int(100_000) : undefined)
    rows.set(JSON.stringify(primary), rowFor(rng, spec, primary, share, makeValue))
  }
  return [...rows.values()]
}

/** Some columns set, never the shard key or the primary key. */
export function makeChange(rng: Rng, spec: EntitySpec, most: number): DataObject {
  const columns = spec.columns.filter(
    (column) => !column.isKey && !column.isPrimary && !spec.bound.includes(column.path),
  )
  return rng
    .some(columns, most)
    .reduce<DataObject>((change, column) => put(change, column.path, rowValue(rng, column)), {})
}

/** Ids, lists of ids, conditions and lists of conditions. */
function makeCriteria(rng: Rng, spec: EntitySpec): Data {
  const [id, another] = primaryOf(spec)
  const byIds = id && !another ? id : undefined
  const ids = (): Data[] => (byIds ? Array.from({ length: 1 + rng.int(5) }, () => rng.pick(poolOf(byIds))) : [])
  return rng.weighted<Data>([
    ...(byIds ? [[3, () => rng.pick(poolOf(byIds))] as const, [3, ids] as const] : []),
    [3, () => primaryFor(rng, spec)],
    [2, () => [primaryFor(rng, spec), primaryFor(rng, spec)]],
    [5, () => nonEmpty(rng, spec)],
    [2, () => [nonEmpty(rng, spec), nonEmpty(rng, spec)]],
  ])
}

function nonEmpty(rng: Rng, spec: EntitySpec): Data {
  const made = where(rng, spec, { relations: false })
  return Array.isArray(made) || Object.keys(made as DataObject).length === 0 ? { count: rng.int(6) } : made
}

function makeLoaded(rng: Rng, spec: EntitySpec): Loaded {
  const weight = spec.hasDeleteDate ? 1 : 0
  const method = rng.weighted<Loaded['method']>([
    [6, () => 'save'],
    [2, () => 'remove'],
    [weight, () => 'softRemove'],
    [weight, () => 'recover'],
  ])
  const { children } = spec
  const withChildren = children !== undefined && rng.oneIn(3)
  const order = primaryOf(spec).reduce<DataObject>((made, column) => put(made, column.path, 'ASC'), {})
  const isSingle = rng.oneIn(3)
  const changesChildren = withChildren && children && method === 'save' && isSingle
  return {
    do: 'loaded',
    entity: spec.name,
    find: {
      where: where(rng, spec, { relations: false }),
      order,
      take: isSingle ? 1 : 1 + rng.int(6),
      ...(withChildren && { relations: { [children.property]: true } }),
      ...((method === 'recover' || rng.oneIn(6)) && spec.hasDeleteDate && { withDeleted: true }),
    },
    changes: method === 'save' ? Array.from({ length: 1 + rng.int(3) }, () => loadedChange(rng, spec)) : [],
    also:
      method === 'save' && !isSingle && rng.oneIn(2)
        ? makeRows(rng, spec, 2, { share: 40, isFresh: rng.oneIn(2) }).map((row) => asGiven(rng, spec, row))
        : [],
    ...(changesChildren && { children: { property: children.property, add: childRows(rng, spec), drop: rng.int(2) } }),
    method,
    isSingle,
  }
}

const loadedChange = (rng: Rng, spec: EntitySpec): DataObject => ({
  ...makeChange(rng, spec, 3),
  ...(moves(spec) && rng.oneIn(2) && otherKey(rng, spec)),
})

/** Children without what they have from their parent. */
function childRows(rng: Rng, { children }: EntitySpec): readonly DataObject[] {
  if (!children) return []
  return makeRows(rng, specs[children.entity], 1 + rng.int(3), { share: 50, isFresh: rng.oneIn(2) }).map((row) => {
    const { [children.foreignKey]: _foreignKey, ...rest } = row
    return Object.fromEntries(Object.entries(rest).filter(([name]) => !(name in children.copies)))
  })
}

const asGiven = (rng: Rng, spec: EntitySpec, row: DataObject): Data =>
  rng.oneIn(2) ? { $: 'new', entity: spec.name, v: row } : row

/** A row with new children in it, for `save`. */
function withChildren(rng: Rng, spec: EntitySpec, row: DataObject): DataObject {
  return spec.children && rng.oneIn(3) ? withNewChildren(rng, spec, row) : row
}

function withNewChildren(rng: Rng, spec: EntitySpec, row: DataObject): DataObject {
  const { children } = spec
  if (!children) return row
  const copied = Object.fromEntries(
    Object.entries(children.copies)
      .filter(([name]) => name !== children.foreignKey)
      .flatMap(([name, from]) => (row[from] === undefined ? [] : [[name, row[from]]])),
  )
  const { idFor } = specs[children.entity]
  const own = (child: DataObject): DataObject => (idFor ? { id: idFor(String(child['id']), String(row['owner'])) } : {})
  return {
    ...row,
    [children.property]: childRows(rng, spec).map((child) => ({ ...child, ...copied, ...own(child) })),
  }
}

const noId = ({ id: _, ...row }: DataObject): DataObject => row

/** Rows of an entity that makes ids, and perhaps children of one that does, without any. */
function makeMade(rng: Rng, spec: EntitySpec): Made {
  const method = rng.pick([
    'insert',
    'save',
    'values',
    'load',
    ...(spec.parent ? [] : (['save', 'upsert'] as const)),
  ] as const)
  const makeValue: RowOptions['makeValue'] = (own, column) =>
    column.nullable && own.oneIn(2) ? null : own.pick(poolOf(column))
  const rows = makeRows(rng, spec, 1 + rng.int(4), { share: 60, isFresh: true, makeValue }).map((row) => {
    const whole = method === 'save' ? withNewChildren(rng, spec, row) : row
    const children = spec.children && whole[spec.children.property]
    if (!spec.children || !Array.isArray(children)) return noId(whole)
    return { ...noId(whole), [spec.children.property]: (children as readonly DataObject[]).map(noId) }
  })
  return { do: 'made', entity: spec.name, method, rows, spare: 1_000_000 + rng.int(1_000_000) }
}

/** Rows are loaded, and their unique values handed on among them. */
function makeHandOver(rng: Rng, spec: EntitySpec): Loaded {
  const order = primaryOf(spec).reduce<DataObject>((made, column) => put(made, column.path, 'ASC'), {})
  const method = mustBeFresh(spec) ? 'save' : rng.pick(['save', 'save', 'upsert'] as const)
  const hands = rng.pick(['up', 'down', 'round', ...(method === 'save' ? (['new'] as const) : [])] as const)
  return {
    do: 'loaded',
    entity: spec.name,
    find: { where: { email: op('Not', op('IsNull')) }, order, skip: rng.int(5), take: 2 + rng.int(3) },
    changes: [],
    also: hands === 'new' ? makeRows(rng, spec, 1, { isFresh: true }) : [],
    hands,
    method,
    isSingle: false,
  }
}

/** A partial object by its primary key, and its shard key or not. */
function makePartial(rng: Rng, spec: EntitySpec): DataObject {
  const primary = primaryFor(rng, spec)
  const full = rowFor(rng, spec, primary, 0)
  const keys = rng.oneIn(2)
    ? keysOf(spec).reduce<DataObject>((made, column) => put(made, column.path, full[column.path] ?? null), {})
    : {}
  const required = Object.fromEntries(
    ['count', 'name'].flatMap((name) => (name in full ? [[name, full[name] ?? null]] : [])),
  )
  return { ...primary, ...keys, ...(rng.oneIn(4) ? {} : required), ...makeChange(rng, spec, 3) }
}

/** A write, of any kind. */
export function makeWrite(rng: Rng, spec: EntitySpec): Written {
  const call = (method: string, ...args: readonly Data[]): Call => ({
    do: 'call',
    entity: spec.name,
    method,
    args,
    compare: 'exact',
  })
  const byCriteria = (method: string, ...rest: readonly Data[]): Call => {
    const made = call(method, makeCriteria(rng, spec), ...rest)
    return rng.oneIn(8) ? { ...made, changedTo: [makeCriteria(rng, spec), ...rest] } : made
  }
  const integers = spec.columns.filter(
    (column) =>
      !column.isKey &&
      !column.isPrimary &&
      !column.path.includes('.') &&
      ['int', 'bigint', 'numeric', 'double'].includes(column.kind),
  )
  const soft: (readonly [number, () => Written])[] = spec.hasDeleteDate
    ? [
        [3, () => byCriteria('softDelete')],
        [3, () => byCriteria('restore')],
      ]
    : []
  return rng.weighted<Written>([
    [
      6,
      () =>
        call(
          'insert',
          rng.oneIn(2)
            ? (makeRows(rng, spec, 1, { isFresh: mustBeFresh(spec) || rng.oneIn(2) })[0] ?? {})
            : makeRows(rng, spec, 1 + rng.int(5), { isFresh: mustBeFresh(spec) || !rng.oneIn(4) }).map((row) =>
                asGiven(rng, spec, row),
              ),
        ),
    ],
    [
      8,
      () => {
        const rows = makeRows(rng, spec, 1 + rng.int(4), { share: 50, isFresh: rng.oneIn(3) }).map((row) =>
          asGiven(rng, spec, withChildren(rng, spec, row)),
        )
        return call('save', rng.oneIn(2) ? (rows[0] ?? {}) : rows)
      },
    ],
    [3, () => call('save', rng.oneIn(2) ? makePartial(rng, spec) : [makePartial(rng, spec), makePartial(rng, spec)])],
    [14, () => makeLoaded(rng, spec)],
    [7, () => byCriteria('update', makeChange(rng, spec, 3))],
    [2, () => byCriteria('update', { ...makeChange(rng, spec, 2), count: sqlSubquery(rng, spec) })],
    [
      0.5,
      () => {
        // A new row is not there yet to hang on.
        const { children: _children, ...alone } = spec
        const rows = makeRows(rng, spec, 1 + rng.int(3), { isFresh: true })
        return call(
          'insert',
          rows.map((row) => ({ ...row, count: sqlSubquery(rng, alone) })),
        )
      },
    ],
    [moves(spec) ? 10 : 0, () => byCriteria('update', { ...makeChange(rng, spec, 2), ...otherKey(rng, spec) })],
    [3, () => byCriteria('delete')],
    ...soft,
    [
      4,
      () =>
        call(
          rng.pick(['increment', 'decrement']),
          nonEmpty(rng, spec),
          rng.pick(integers).path,
          rng.pick([1, 0, -2, '3']),
        ),
    ],
    [2, () => makeBulk(rng, spec)],
    [hasUnique(spec) ? 6 : 0, () => makeHandOver(rng, spec)],
    [spec.idFor ? 20 : 0, () => makeMade(rng, spec)],
    [mustBeFresh(spec) ? 0 : 5, () => makeUpsert(rng, spec)],
    [0.3, () => call('updateAll', makeChange(rng, spec, 2))],
    [0.2, () => call('deleteAll')],
    [spec.children ? 0 : 0.2, () => call('clear')],
  ])
}

/** Tens of rows that set the same columns, none by SQL: they are sent as arrays. Now and then one of them is not like that. */
function makeBulk(rng: Rng, spec: EntitySpec): Call {
  const makeValue: RowOptions['makeValue'] = (own, column) => {
    if (column.isUnique && !own.oneIn(60)) return `b${own.int(1_000_000)}@x`
    return column.nullable && own.oneIn(4) ? null : own.pick(poolOf(column))
  }
  const isFresh = mustBeFresh(spec) || !rng.oneIn(6)
  const rows = makeRows(rng, spec, 20 + rng.int(40), { share: rng.pick([0, 100]), isFresh, makeValue })
  const method = rng.pick([
    'insert',
    'save',
    // An unsharded entity has none.
    ...(keysOf(spec).length > 0 ? ['load'] : []),
    ...(mustBeFresh(spec) ? [] : ['upsert']),
  ])
  // A load takes no expressions.
  const oddly = { share: 50, isFresh: true, ...(method === 'load' && { makeValue }) }
  const odd = rng.oneIn(6) ? makeRows(rng, spec, 1, oddly) : []
  return {
    do: 'call',
    entity: spec.name,
    method,
    args: [
      [...rows, ...odd].map((row) => (method === 'upsert' ? row : asGiven(rng, spec, row))),
      ...(method === 'upsert' ? [conflictPaths(spec)] : []),
    ],
    compare: 'exact',
  }
}

function makeUpsert(rng: Rng, spec: EntitySpec): Call {
  // By the primary key alone, a row of another shard key is met on another shard.
  const paths = rng.oneIn(3) ? primaryOf(spec).map(({ path }) => path) : conflictPaths(spec)
  const rows = makeRows(rng, spec, 1 + rng.int(4), { share: 40 })
  const options: Data = rng.oneIn(2) ? paths : { conflictPaths: paths, skipUpdateIfNoValuesChanged: rng.oneIn(2) }
  return {
    do: 'call',
    entity: spec.name,
    method: 'upsert',
    args: [rng.oneIn(3) ? (rows[0] ?? {}) : rows, options],
    compare: 'exact',
  }
}

/** The primary key and the shard key, which a unique constraint holds together. */
export const conflictPaths = (spec: EntitySpec): readonly string[] =>
  spec.columns.filter((column) => column.isPrimary || column.isKey).map((column) => column.path)

const hasUnique = ({ columns }: EntitySpec): boolean => columns.some(({ isUnique }) => isUnique)

/** A row whose id, of a number that no other has, carries the slot of another owner. */
function withWrongId(rng: Rng, { idFor, columns: [id] }: EntitySpec, row: DataObject): DataObject {
  const other = id?.wide?.(200_000 + rng.int(100_000))
  return idFor ? { ...row, id: idFor(String(other), rng.pick(idOwners)) } : row
}

/** Refused on shards, where it is not the same place: see `refusals.ts`. */
const otherKey = (rng: Rng, spec: EntitySpec): DataObject =>
  keysOf(spec).reduce<DataObject>((change, column) => put(change, column.path, rng.pick(poolOf(column))), {})

/** A mistake that both sides answer with the same error, or that only shards refuse. */
export function makeMistake(rng: Rng, spec: EntitySpec): Written {
  const call = (method: string, ...args: readonly Data[]): Call => ({
    do: 'call',
    entity: spec.name,
    method,
    args,
    compare: 'exact',
  })
  const missing: Data = { $: 'undefined' }
  const [row = {}] = makeRows(rng, spec, 1)
  return rng.weighted<Written>([
    [2, () => call(rng.pick(['find', 'count', 'findOne', 'exists']), { where: { nothing: 1 } })],
    [1, () => call('find', { order: { nothing: 'ASC' } })],
    [1, () => call('find', { select: { nothing: true } })],
    [1, () => call('find', { relations: { nothing: true } })],
    [2, () => call(rng.pick(['findBy', 'countBy', 'findOneBy']), { count: missing })],
    [2, () => call(rng.pick(['findBy', 'countBy', 'findOneBy']), { count: null })],
    [
      2,
      () =>
        call(rng.pick(['update', 'delete', 'softDelete', 'restore']), rng.pick<Data>([{}, [], '', null, missing]), {
          count: 1,
        }),
    ],
    [2, () => call(rng.pick(['findBy', 'countBy', 'existsBy']), { count: 'abc' })],
    [1, () => call('findBy', { count: op('In', [1, 'x', 2]) })],
    [1, () => call('update', { count: 1 }, { nothing: 1 })],
    [1, () => call('update', { count: op('MoreThan', -1000) }, { count: 'abc' })],
    [1, () => call('update', { count: op('MoreThan', -1000) }, { count: null })],
    [1, () => call('update', { count: op('MoreThan', -1000) }, {})],
    [spec.parent ? 0 : 1, () => call('update', { count: op('MoreThan', -1000) }, { mood: 'none of them' })],
    [spec.parent ? 0 : 1, () => call('findBy', { mood: 'none of them' })],
    [spec.parent ? 0 : 1, () => call('findBy', { token: 'no uuid' })],
    [spec.parent ? 0 : 1, () => call('insert', { ...row, small: 40_000 })],
    [1, () => call('update', { count: op('MoreThan', -1000) }, otherKey(rng, spec))],
    [1, () => call('count', { select: { count: true } })],
    [1, () => call(rng.pick(['sum', 'minimum']), 'word')],
    [1, () => call('insert', [...makeRows(rng, spec, 3), { ...row, count: null }])],
    [1, () => call('insert', { ...row, count: '12x' })],
    [1, () => call('insert', [])],
    [1, () => call('save', [])],
    [1, () => call('save', 'text')],
    [1, () => call('remove', {})],
    [1, () => call('find', { skip: -1 })],
    [1, () => call('find', { take: -1 })],
    [1, () => call('find', { take: 'x' })],
    [1, () => call('findOne', {})],
    [1, () => call('sum', 'nothing')],
    [1, () => call('increment', { count: 1 }, 'nothing', 1)],
    [1, () => call('increment', { count: 1 }, 'count', 'x')],
    [mustBeFresh(spec) ? 0 : 1, () => call('upsert', [row, row], conflictPaths(spec))],
    [hasUnique(spec) ? 1 : 0, () => call('upsert', [row], ['email'])],
    [spec.idFor ? 4 : 0, () => call(rng.pick(['insert', 'save']), withWrongId(rng, spec, row))],
    [
      spec.idFor ? 1 : 0,
      () => call('update', { id: row['id'] ?? null }, { id: withWrongId(rng, spec, row)['id'] ?? null }),
    ],
  ])
}
