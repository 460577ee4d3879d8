import { type ColumnSpec, type EntitySpec, type Kind, specs, valuesOf, writtenOnly } from './columns'
import { type Data, type DataObject, op } from './data'
import { rawSubquery } from './own-sql'
import type { Rng } from './rng'

/** Sets a value at a path of names, over what is there. */
export function put(object: DataObject, path: string, value: Data): DataObject {
  const [name = '', ...rest] = path.split('.')
  if (rest.length === 0) return { ...object, [name]: value }
  const inner = object[name]
  const base = inner !== null && typeof inner === 'object' && !Array.isArray(inner) ? (inner as DataObject) : {}
  return { ...object, [name]: put(base, rest.join('.'), value) }
}

export const poolOf = (column: ColumnSpec): readonly Data[] => column.values ?? valuesOf[column.kind]

/** A value that a row may have in the column. */
export function rowValue(rng: Rng, column: ColumnSpec): Data {
  if (column.nullable && rng.oneIn(column.isUnique ? 2 : 4)) return null
  const written = writtenOnly[column.kind]
  return written && rng.oneIn(3) ? rng.pick(written) : rng.pick(poolOf(column))
}

const ordered = new Set<Kind>([
  'smallint',
  'int',
  'bigint',
  'numeric',
  'price',
  'double',
  'date',
  'timestamp',
  'timestamptz',
  'text',
  'enum',
  'uuid',
  'char',
  'money',
  'interval',
  'time',
  'timetz',
  'inet',
])
const textual = new Set<Kind>(['text', 'char'])
const comparisons = ['LessThan', 'LessThanOrEqual', 'MoreThan', 'MoreThanOrEqual'] as const
const casts: Partial<Record<Kind, string>> = {
  bigint: 'bigint',
  date: 'date',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
}

/** Now and then none, and more than a short list: TypeORM makes a parameter of each value. */
const listLength = (rng: Rng): number => (rng.oneIn(12) ? 0 : rng.oneIn(30) ? 200 + rng.int(600) : 1 + rng.int(6))

const patterns = ['%', 'a%', '%b', '_', '%é%', 'A_', '%\\%%', '100\\%', '%😀%', '', '% ']

/** A condition on one column: a value, or an operator. */
export function condition(rng: Rng, column: ColumnSpec, depth = 2): Data {
  const value = (): Data => rng.pick(poolOf(column))
  if (column.kind === 'json') return rng.oneIn(3) ? op('IsNull') : op('JsonContains', value())
  if (column.kind === 'tags' || column.kind === 'integers' || column.kind === 'numerics')
    return arrayCondition(rng, value)
  if (column.kind === 'range' || column.kind === 'real') return rangeCondition(rng, value)
  const isRouting = column.isKey || column.isLookedUp
  const choices: (readonly [number, () => Data])[] = [
    [isRouting ? 8 : 4, value],
    [3, () => op('Equal', value())],
    [isRouting ? 6 : 3, () => op('In', Array.from({ length: listLength(rng) }, value))],
    [1, () => op('IsNull')],
  ]
  if (ordered.has(column.kind)) {
    choices.push([4, () => op(rng.pick(comparisons), value())], [2, () => op('Between', value(), value())])
  }
  if (textual.has(column.kind)) {
    choices.push([2, () => op('Like', rng.pick(patterns))], [2, () => op('ILike', rng.pick(patterns))])
  }
  if (column.kind !== 'price' && column.kind !== 'enum' && column.kind !== 'char' && column.kind !== 'bytes') {
    choices.push([1, () => op('Any', Array.from({ length: 1 + rng.int(3) }, value))])
  }
  if (depth > 0) {
    const inner = (): Data => {
      const made = condition(rng, column, depth - 1)
      return isOperator(made) ? made : op('Equal', made)
    }
    choices.push(
      [2, () => op('Not', condition(rng, column, depth - 1))],
      [1, () => op('And', inner(), inner())],
      [1, () => op('Or', inner(), inner())],
      [1, () => raw(rng, column, value)],
    )
  }
  return rng.weighted(choices)
}

const isOperator = (data: Data): boolean =>
  data !== null && typeof data === 'object' && '$' in data && (data['$'] === 'op' || data['$'] === 'raw')

function raw(rng: Rng, column: ColumnSpec, value: () => Data): Data {
  if (rng.oneIn(2) || column.kind === 'price') return { $: 'raw', sql: '{} IS NOT NULL', of: {} }
  const type = casts[column.kind]
  if (!type) return { $: 'raw', sql: '{} IS NOT DISTINCT FROM {}', of: {} }
  return { $: 'raw', sql: `{} <> :given::${type}`, of: { given: value() } }
}

/** Kinds of which only equality is asked: a `real` is not equal to what it was written as. */
const rangeCondition = (rng: Rng, value: () => Data): Data =>
  rng.weighted<Data>([
    [2, () => op('Equal', value())],
    [1, () => op('In', [value(), value()])],
    [1, () => op('IsNull')],
    [1, () => op('Not', op('IsNull'))],
    [2, () => op(rng.pick(comparisons), value())],
  ])

function arrayCondition(rng: Rng, value: () => Data): Data {
  return rng.weighted<Data>([
    [2, () => op('ArrayContains', value())],
    [2, () => op('ArrayContainedBy', value())],
    [2, () => op('ArrayOverlap', value())],
    [1, () => op('IsNull')],
    [1, () => op('Not', op('IsNull'))],
  ])
}

/** One branch: conditions that all hold. */
function branch(rng: Rng, spec: EntitySpec, withRelations: boolean): DataObject {
  const keys = spec.columns.filter((column) => column.isKey)
  const chosen = rng.oneIn(3) ? keys : rng.oneIn(4) ? rng.some(keys, 1) : []
  const others = rng.oneIn(6) ? [] : rng.some(spec.columns, rng.oneIn(3) ? 3 : 1)
  let where: DataObject = {}
  for (const column of [...chosen, ...others]) where = put(where, column.path, condition(rng, column))
  if (rng.oneIn(25)) where = { ...where, count: rawSubquery(rng, spec) }
  if (withRelations && rng.oneIn(8)) where = { ...where, ...relationCondition(rng, spec) }
  return where
}

function relationCondition(rng: Rng, { children, parent }: EntitySpec): DataObject {
  const relation = children ?? parent
  if (!relation) return {}
  // How many children there are.
  if (children && rng.oneIn(2)) return { [relation.property]: op(rng.pick(comparisons), rng.int(4)) }
  return { [relation.property]: branch(rng, specs[relation.entity], false) }
}

/** A condition of find options: one branch, or a list of them as OR. */
export function where(rng: Rng, spec: EntitySpec, { relations }: { relations: boolean } = { relations: true }): Data {
  if (rng.oneIn(5)) {
    const branches = Array.from({ length: rng.int(4) }, () => (rng.oneIn(8) ? {} : branch(rng, spec, relations)))
    return branches
  }
  return branch(rng, spec, relations)
}
