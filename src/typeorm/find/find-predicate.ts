import type { EntityMetadata } from 'typeorm'
import { FindOperator, type ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { EmbeddedMetadata } from 'typeorm/metadata/EmbeddedMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ApplyValueTransformers } from 'typeorm/util/ApplyValueTransformers'
import type { KeyBound, KeyConstraint } from '../../functions/sharding-function'
import { type Predicate, unknownPredicate } from '../../routing/predicate'
import { canonicalKey } from '../../values/canonical-key'
import type { EntityBinding } from '../binding/entity-binding'
import { leadsApart } from '../binding/relation-apart'
import type { SlotColumn } from '../binding/slot-columns'

/** How the entity of a target is sharded; undefined where it is not. */
export type BindingOf = (target: unknown) => EntityBinding | undefined

/**
 * What a `where` of find options (or the criteria of update and delete) says of the shard key. Reads the object only:
 * TypeORM changes operators while it builds SQL, this never does.
 */
export function findPredicate(binding: EntityBinding, where: unknown, bindingOf: BindingOf): Predicate {
  if (Array.isArray(where)) {
    // TypeORM drops empty branches of an OR; a list of nothing but those is no condition.
    const branches = where.filter((branch) => !isEmptyObject(branch))
    if (branches.length === 0) return unknownPredicate
    return { kind: 'or', of: branches.map((branch) => findPredicate(binding, branch, bindingOf)) }
  }
  if (!isPlain(where)) return unknownPredicate
  const parts: Predicate[] = []
  collect({ binding, metadata: binding.metadata, bindingOf, parts }, where, '')
  return parts.length === 1 && parts[0] ? parts[0] : { kind: 'and', of: parts }
}

interface Collector {
  readonly binding: EntityBinding
  readonly metadata: EntityMetadata
  readonly bindingOf: BindingOf
  readonly parts: Predicate[]
}

function collect(collector: Collector, where: ObjectLiteral, prefix: string): void {
  const { binding, parts } = collector
  for (const name in where) {
    const value: unknown = where[name]
    if (value === undefined || value === null) continue
    const path = prefix + name
    const keyIndex = binding.keyColumns.findIndex((column) => column.propertyPath === path)
    const keyColumn = binding.keyColumns[keyIndex]
    const slotColumn = binding.slotColumns.find(({ column }) => column.propertyPath === path)
    if (keyColumn && !isRelationObject(keyColumn, value)) {
      parts.push(columnPredicate(keyReading(binding, keyIndex, keyColumn), value))
    } else if (slotColumn && !isRelationObject(slotColumn.column, value)) {
      parts.push(columnPredicate(slotReading(slotColumn), value))
    } else if (isPlain(value) || value instanceof FindOperator || Array.isArray(value)) {
      collectNested(collector, path, value)
    }
  }
}

function collectNested(collector: Collector, path: string, value: unknown): void {
  const { metadata, binding, parts, bindingOf } = collector
  const embedded: EmbeddedMetadata | undefined = metadata.findEmbeddedWithPropertyPath(path)
  if (embedded) {
    if (isPlain(value)) collect(collector, value, `${path}.`)
    return
  }
  const relation = metadata.findRelationWithPropertyPath(path)
  if (!relation) return
  if (value instanceof FindOperator) {
    const [joinColumn, another] = relation.joinColumns
    if (!joinColumn || another) return
    const keyIndex = binding.keyColumns.indexOf(joinColumn)
    const slotColumn = binding.slotColumns.find(({ column }) => column === joinColumn)
    // TypeORM transforms the values of an operator on a relation in an update, and does not in a find.
    if (joinColumn.transformer) return
    if (keyIndex >= 0) parts.push(columnPredicate(keyReading(binding, keyIndex, joinColumn), value))
    else if (slotColumn) parts.push(columnPredicate(slotReading(slotColumn), value))
    return
  }
  // A find has the transformer of the column that is joined, an update that of the join column.
  if (relation.joinColumns.some(({ transformer, referencedColumn }) => transformer !== referencedColumn?.transformer))
    return
  collectJoinColumns(collector, relation, value)
  // A joined row of a relation that does not lead apart lies on the same shard: what is said of its key holds for this one's shard.
  const inverse = bindingOf(relation.inverseEntityMetadata.target)
  if (inverse && !leadsApart(relation)) parts.push(findPredicate(inverse, value, bindingOf))
}

/** `where: { user: { id: 42 } }` says `userId = 42` where the join column is part of the shard key. */
function collectJoinColumns({ binding, parts }: Collector, relation: RelationMetadata, value: unknown): void {
  if (!isPlain(value)) return
  for (const joinColumn of relation.joinColumns) {
    const keyIndex = binding.keyColumns.indexOf(joinColumn)
    const referenced: unknown =
      joinColumn.referencedColumn?.propertyName === undefined
        ? undefined
        : value[joinColumn.referencedColumn.propertyName]
    if (keyIndex < 0 || referenced === undefined || referenced === null || isPlain(referenced)) continue
    parts.push(columnPredicate(keyReading(binding, keyIndex, joinColumn), referenced))
  }
}

function isRelationObject(column: ColumnMetadata, value: unknown): boolean {
  return column.relationMetadata !== undefined && isPlain(value)
}

/** What conditions on a column say of the shard key. Its values are those that the database is given. */
interface Reading {
  readonly column: ColumnMetadata
  /** Equality with one of some values. */
  readonly values: (sent: readonly unknown[]) => Predicate
  /** An end without a value is open. */
  readonly range: (from: SentBound | undefined, to: SentBound | undefined) => Predicate
}

interface SentBound {
  readonly sent: unknown
  readonly inclusive: boolean
}

function keyReading(binding: EntityBinding, index: number, column: ColumnMetadata): Reading {
  const key = (sent: unknown): string | undefined => {
    const type = binding.entity.keyColumns[index]?.type
    if (type === undefined) return undefined
    try {
      return canonicalKey(sent, type)
    } catch {
      // PostgreSQL will say what is wrong with the value; until then it narrows nothing.
      return undefined
    }
  }
  const bound = (given: SentBound | undefined): KeyBound | undefined => {
    const text = given && key(given.sent)
    return text === undefined ? undefined : { key: text, inclusive: given?.inclusive ?? true }
  }
  return {
    column,
    values: (sent) => constraintPredicate(index, valuesConstraint(sent.map(key))),
    range: (from, to) => constraintPredicate(index, rangeConstraint(bound(from), bound(to))),
  }
}

/** Ids tell the slots of their rows; their order is that of their time, which tells nothing. */
function slotReading({ column, slotOf }: SlotColumn): Reading {
  return {
    column,
    values: (sent) => {
      const slots = sent.map(slotOf)
      const known = slots.filter((slot) => slot !== undefined)
      return known.length === slots.length ? { kind: 'slots', slots: [...new Set(known)] } : unknownPredicate
    },
    range: () => unknownPredicate,
  }
}

/** No value of any column: what the database is given is not known. */
const notKnown = Symbol('not known')

/** What TypeORM gives the database for a value of a condition. A transformer that fails will fail in TypeORM too. */
function sentFor({ transformer }: ColumnMetadata, value: unknown): unknown {
  if (!transformer) return value
  try {
    return ApplyValueTransformers.transformTo(transformer, value)
  } catch {
    return notKnown
  }
}

/** As `sentFor`, of an operator: a list is transformed by its values where each is a parameter (`In`), else as a whole (`Any`). */
function sentForOperator(column: ColumnMetadata, { value, multipleParameters }: FindOperator<unknown>): unknown {
  if (!Array.isArray(value)) return sentFor(column, value)
  return multipleParameters ? value.map((one) => sentFor(column, one)) : sentFor(column, [...value])
}

/** The operators on values that say something of a key. */
const readable: ReadonlySet<string> = new Set([
  'equal',
  'in',
  'any',
  'between',
  'moreThan',
  'moreThanOrEqual',
  'lessThan',
  'lessThanOrEqual',
])

function columnPredicate(reading: Reading, value: unknown): Predicate {
  return value instanceof FindOperator
    ? operatorPredicate(reading, value)
    : reading.values([sentFor(reading.column, value)])
}

function operatorPredicate(reading: Reading, operator: FindOperator<unknown>): Predicate {
  const { type } = operator
  // Of an operator in another one TypeORM takes the value, and leaves out what it says of it: Equal(MoreThan(5)) is Equal(5).
  if (operator.child) return unknownPredicate
  if (type === 'and' || type === 'or') return combined(reading, type, operator.value)
  if (!readable.has(type)) return unknownPredicate
  const { values, range } = reading
  const sent = sentForOperator(reading.column, operator)
  switch (type) {
    case 'equal':
      return values([sent])
    case 'in':
    case 'any':
      // NULL in a list equals nothing.
      return Array.isArray(sent) ? values(sent.filter((one) => one !== null)) : unknownPredicate
    case 'between':
      return Array.isArray(sent)
        ? range({ sent: sent[0], inclusive: true }, { sent: sent[1], inclusive: true })
        : unknownPredicate
    case 'moreThan':
      return range({ sent, inclusive: false }, undefined)
    case 'moreThanOrEqual':
      return range({ sent, inclusive: true }, undefined)
    case 'lessThan':
      return range(undefined, { sent, inclusive: false })
    case 'lessThanOrEqual':
      return range(undefined, { sent, inclusive: true })
    default:
      return unknownPredicate
  }
}

function combined(reading: Reading, kind: 'and' | 'or', value: unknown): Predicate {
  if (!Array.isArray(value) || !value.every((one) => one instanceof FindOperator)) return unknownPredicate
  return { kind, of: value.map((one) => operatorPredicate(reading, one)) }
}

function constraintPredicate(column: number, constraint: KeyConstraint | undefined): Predicate {
  return constraint ? { kind: 'key', column, constraint } : unknownPredicate
}

/** One value that is not understood makes the whole list so. */
function valuesConstraint(keys: readonly (string | undefined)[]): KeyConstraint | undefined {
  const known = keys.filter((key) => key !== undefined)
  return known.length === keys.length ? { kind: 'values', keys: [...new Set(known)] } : undefined
}

function rangeConstraint(from: KeyBound | undefined, to: KeyBound | undefined): KeyConstraint | undefined {
  return from || to ? { kind: 'range', ...(from && { from }), ...(to && { to }) } : undefined
}

/** An object that TypeORM walks into, rather than a value. */
export function isPlain(value: unknown): value is ObjectLiteral {
  return (
    value !== null &&
    typeof value === 'object' &&
    !(value instanceof FindOperator) &&
    !(value instanceof Date) &&
    !(value instanceof Uint8Array) &&
    !Array.isArray(value)
  )
}

export const isEmptyObject = (value: unknown): boolean => isPlain(value) && Object.keys(value).length === 0

/** True for an object that has no properties but its own. */
export const isLiteral = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
