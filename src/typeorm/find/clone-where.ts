import { FindOperator } from 'typeorm'
import { isPlain } from './find-predicate'

/**
 * A copy of a `where` that TypeORM may change: it writes transformed values into the operators it is given, each time
 * anew, and so would transform the caller's twice.
 */
export function cloneWhere<Where>(where: Where): Where {
  return copy(where) as Where
}

function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy)
  if (value instanceof FindOperator) return copyOperator(value)
  // Class instances (an entity as a condition) keep their prototype; other values are not changed and stay shared.
  if (isPlain(value)) return Object.assign(Object.create(Object.getPrototypeOf(value)), mapValues(value))
  return value
}

function copyOperator(operator: FindOperator<unknown>): FindOperator<unknown> {
  const clone: FindOperator<unknown> = Object.assign(Object.create(Object.getPrototypeOf(operator)), operator)
  // The value behind the getter, which looks through nested operators; TypeORM keeps it private.
  const inner: unknown = Reflect.get(clone, '_value')
  if (inner instanceof FindOperator || Array.isArray(inner)) Reflect.set(clone, '_value', copy(inner))
  return clone
}

const mapValues = (object: object): object =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, copy(value)]))
