import { And, type EntityMetadata, Equal, type FindManyOptions, FindOperator, type ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { leadsApart, reachesApart } from '../binding/relation-apart'
import { type KeyPair, keyPairs } from '../binding/relation-keys'
import { isPlain } from './find-predicate'

type Options = FindManyOptions<ObjectLiteral>

/**
 * Conditions on the key alone of a relation that leads apart (`where: { product: { id: 1 } }`), as conditions on the join columns:
 * the row that is referred to has the same values, and is not read. TypeORM joins it. Of a page it then orders by the primary key
 * last, and so does the find that is returned.
 */
export function keysOfRelations(metadata: EntityMetadata, options: Options): Options {
  const { where, lock, withDeleted } = options
  // The servers refuse a lock of a row that an outer join may lack.
  if (where === undefined || lock || !reachesApart(metadata)) return options
  const replaced = replaceBranches({ metadata, withDeleted: withDeleted === true }, where)
  if (replaced === where) return options
  const order = options.skip || options.take ? pageOrder(metadata, options) : options.order
  if (order === 'unknown') return options
  // What is put in place of a condition is one too.
  return { ...options, where: replaced as NonNullable<Options['where']>, ...(order && { order }) }
}

interface Reading {
  readonly metadata: EntityMetadata
  readonly withDeleted: boolean
}

/** The same object where nothing is replaced. */
function replaceBranches(reading: Reading, where: unknown): unknown {
  if (!Array.isArray(where)) return replaceIn(reading, where, '')
  const branches = where.map((branch: unknown) => replaceIn(reading, branch, ''))
  return branches.some((branch, index) => branch !== where[index]) ? branches : where
}

function replaceIn(reading: Reading, where: unknown, prefix: string): unknown {
  if (!isPlain(where)) return where
  const { metadata } = reading
  let copy: ObjectLiteral | undefined
  // TypeORM reads what a condition inherits too.
  for (const name in where) {
    const value: unknown = where[name]
    const replaced = replaceAt(reading, prefix + name, value)
    if (replaced === value) continue
    copy ??= { ...where }
    copy[name] = replaced
  }
  return copy ?? where

  function replaceAt(at: Reading, path: string, value: unknown): unknown {
    if (metadata.findEmbeddedWithPropertyPath(path)) return replaceIn(at, value, `${path}.`)
    const relation = metadata.findRelationWithPropertyPath(path)
    if (!relation || typeof value !== 'object' || value instanceof FindOperator) return value
    return (
      conditionOnKey(relation, value, reading) ??
      replaceBranches({ ...reading, metadata: relation.inverseEntityMetadata }, value)
    )
  }
}

/**
 * An operator that says of the join column what a condition says of the column that it refers to.
 *
 * @returns undefined where the condition says more, or may leave out a row that the relation refers to
 */
function conditionOnKey(
  relation: RelationMetadata,
  where: unknown,
  { withDeleted }: Reading,
): FindOperator<unknown> | undefined {
  if (!leadsApart(relation) || !isPlain(where)) return undefined
  const pair = keyOf(relation)
  if (!pair || (relation.inverseEntityMetadata.deleteDateColumn && !withDeleted)) return undefined
  const names: string[] = []
  for (const name in where) names.push(name)
  const value: unknown = where[pair.far.propertyName]
  if (names.length !== 1 || value === undefined || value === null) return undefined
  if (!(value instanceof FindOperator)) return isPlain(value) || Array.isArray(value) ? undefined : Equal(value)
  if (hasText(value) || (value.type === 'equal' && innerOf(value) instanceof FindOperator)) return undefined
  // Of a relation, TypeORM takes these alone for conditions on the number of related rows.
  return comparisons.has(value.type) ? And(value) : value
}

const comparisons: ReadonlySet<string> = new Set(['moreThan', 'moreThanOrEqual', 'lessThan', 'lessThanOrEqual'])

/** The one column of an owning relation whose foreign key sees to it that there is the row that it refers to. */
function keyOf(relation: RelationMetadata): KeyPair | undefined {
  if (!relation.isOwning || relation.isManyToMany || !relation.createForeignKeyConstraints) return undefined
  const [pair, another] = keyPairs(relation) ?? []
  if (!pair || another || pair.own.transformer || pair.far.transformer) return undefined
  const { far } = pair
  const isColumn = !far.relationMetadata && far.propertyPath === far.propertyName
  return isColumn ? pair : undefined
}

/** Text of the application (`Raw`) may name the joined table. */
function hasText(operator: FindOperator<unknown>): boolean {
  if (operator.type === 'raw') return true
  const inner = innerOf(operator)
  return (Array.isArray(inner) ? inner : [inner]).some((one) => one instanceof FindOperator && hasText(one))
}

/** What stands behind the getter, which looks through nested operators; TypeORM keeps it private. */
const innerOf = (operator: FindOperator<unknown>): unknown => Reflect.get(operator, '_value')

/** The order of a page of a find with joins. @returns 'unknown' where it is not to be had of the find alone */
function pageOrder(metadata: EntityMetadata, { order, select }: Options): Options['order'] | 'unknown' {
  const paths = metadata.primaryColumns.map(({ propertyPath }) => propertyPath)
  const isKnown = metadata.primaryColumns.every(
    ({ propertyPath, propertyName, relationMetadata }) => propertyPath === propertyName && !relationMetadata,
  )
  const named: unknown = select
  if (!isKnown || (named && !(isPlain(named) && paths.every((path) => named[path] === true)))) return 'unknown'
  const rest = paths.filter((path) => !isPlain(order) || order[path] === undefined)
  return { ...order, ...Object.fromEntries(rest.map((path) => [path, 'ASC'])) }
}
