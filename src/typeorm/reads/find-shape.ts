import type { LRUCache } from 'lru-cache'
import { FindOperator } from 'typeorm'
import { pushAll } from '../../collections/push-all'
import type { EntityBinding } from '../binding/entity-binding'
import { cloneWhere } from '../find/clone-where'
import { isLiteral, isPlain } from '../find/find-predicate'
import type { FindOptions } from './find-scope'

/** The place of a value in what was planned for a shape of find options. */
export class Slot {
  constructor(readonly index: number) {}
}

/** The parameters of a statement that was made of a template, for the values of one find. */
export const fillSlots = (parameters: readonly unknown[], values: readonly unknown[]): unknown[] =>
  parameters.map((one) => (one instanceof Slot ? values[one.index] : one))

/** What is remembered of the shapes of the finds of an entity, as long as its binding is there, within the same bounds for each. */
export class ShapeCaches<Value extends {}> {
  private readonly all = new WeakMap<object, LRUCache<string, Value>>()

  /** @param make makes the empty cache of one entity */
  constructor(private readonly make: () => LRUCache<string, Value>) {}

  /** @param entity its binding */
  of(entity: object): LRUCache<string, Value> {
    const known = this.all.get(entity)
    if (known) return known
    const made = this.make()
    this.all.set(entity, made)
    return made
  }
}

/** Find options without the values of their conditions. */
export interface FindShape {
  /** The same for options of which TypeORM makes the same SQL. */
  readonly key: string
  /** The values of the conditions, in the order of the slots. */
  readonly values: readonly unknown[]
  /** The options with a slot in place of each value: TypeORM takes it for a parameter. */
  readonly template: () => FindOptions
}

/**
 * Reads what the SQL of a find depends on. The values of conditions it does not depend on: they become parameters.
 *
 * @returns undefined where it may depend on a value (`Raw`, counts of relations, transformed columns), or where that is not known
 */
export function findShape(binding: EntityBinding, { where, ...others }: FindOptions): FindShape | undefined {
  // What a computed column's query gives may change from one find to the next.
  if (binding.metadata.columns.some((column) => column.isVirtualProperty)) return undefined
  if (where !== undefined && !isPlain(where)) return undefined
  const values: unknown[] = []
  const options = writeConstant(others)
  const condition = where === undefined ? '' : writeCondition({ binding, values }, where, '')
  if (options === undefined || condition === undefined) return undefined
  return {
    key: `${options}${condition}`,
    values,
    template: () => {
      if (where === undefined) return others
      let slots = 0
      const slotOf = (value: unknown) => (value === undefined ? undefined : new Slot(slots++))
      return { ...others, where: cloneWhere(binding.metadata, where, slotOf) }
    },
  }
}

/** Options that go into the SQL as they are, with what tells their types apart. */
function writeConstant(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value)
    case 'object':
      break
    default:
      return undefined
  }
  if (value === null) return 'null'
  if (!Array.isArray(value) && !isLiteral(value)) return undefined
  let text = Array.isArray(value) ? '[' : '{'
  for (const name of Object.keys(value)) {
    const written = writeConstant(Reflect.get(value, name))
    if (written === undefined) return undefined
    text += named(name, written)
  }
  return `${text}}`
}

/** Whatever the name holds: its length says where it ends. */
const named = (name: string, written: string): string => `${name.length} ${name}:${written},`

/** A condition that is being read. */
interface Reading {
  readonly binding: EntityBinding
  /** Those that were met so far. */
  readonly values: unknown[]
}

function writeCondition(reading: Reading, where: unknown, prefix: string): string | undefined {
  const { binding, values } = reading
  if (!isPlain(where) || !isLiteral(where)) return undefined
  let text = '{'
  for (const [name, value] of Object.entries(where)) {
    // TypeORM may refuse these, or leave them out.
    if (value === undefined || value === null) return undefined
    const written = isEmbedded(binding, prefix + name)
      ? writeCondition(reading, value, `${prefix}${name}.`)
      : isOwnColumn(binding, prefix + name)
        ? writeValue(value, values)
        : undefined
    if (written === undefined) return undefined
    text += named(name, written)
  }
  return `${text}}`
}

/** A column whose values TypeORM hands to the database as they are. */
function isOwnColumn({ metadata }: EntityBinding, path: string): boolean {
  const column = metadata.findColumnWithPropertyPathStrict(path)
  return (
    column !== undefined &&
    column.transformer === undefined &&
    !column.isVirtualProperty &&
    column.relationMetadata === undefined &&
    metadata.findRelationWithPropertyPath(path) === undefined
  )
}

const isEmbedded = ({ metadata }: EntityBinding, path: string): boolean =>
  metadata.findEmbeddedWithPropertyPath(path) !== undefined

/** Operators of which the SQL depends on how many values they have, and on no value. */
const plainOperators: ReadonlySet<string> = new Set([
  'not',
  'equal',
  'lessThan',
  'lessThanOrEqual',
  'moreThan',
  'moreThanOrEqual',
  'between',
  'in',
  'any',
  'isNull',
  'like',
  'ilike',
  'arrayContains',
  'arrayContainedBy',
  'arrayOverlap',
])

function writeValue(value: unknown, values: unknown[]): string | undefined {
  if (!(value instanceof FindOperator)) {
    if (typeof value === 'function') return undefined
    values.push(value)
    return '?'
  }
  if (!plainOperators.has(value.type)) return undefined
  const inner = innerValue(value)
  if (inner instanceof FindOperator) {
    // `Equal` makes one parameter of all values of the operator in it.
    if (value.type === 'equal') return undefined
    const written = writeValue(inner, values)
    return written && `${value.type}(${written})`
  }
  if (!value.useParameter) return value.type
  if (!value.multipleParameters) {
    if (inner === undefined || typeof inner === 'function') return undefined
    values.push(inner)
    return `${value.type}(?)`
  }
  if (
    !Array.isArray(inner) ||
    inner.some((one) => one === undefined || one instanceof FindOperator || typeof one === 'function')
  )
    return undefined
  pushAll(values, inner)
  return `${value.type}(?${inner.length})`
}

/** What stands behind the getter, which looks through nested operators; TypeORM keeps it private. */
const innerValue = (operator: FindOperator<unknown>): unknown => Reflect.get(operator, '_value')
