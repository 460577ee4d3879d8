import {
  And,
  Any,
  ArrayContainedBy,
  ArrayContains,
  ArrayOverlap,
  Between,
  Equal,
  ILike,
  In,
  IsNull,
  JsonContains,
  LessThan,
  LessThanOrEqual,
  Like,
  MoreThan,
  MoreThanOrEqual,
  Not,
  Or,
  Raw,
} from 'typeorm'
import { type EntityName, entities } from './entities'

/**
 * The arguments of an operation as JSON, so that a case can be kept in a file. What JSON has no word for is an object
 * with `$`: `{ $: 'date', v }`, `{ $: 'number', v: 'NaN' }`, `{ $: 'undefined' }`, `{ $: 'bytes', v }`, `{ $: 'sql', v }` (an expression),
 * `{ $: 'op', name, of }` (a find operator), `{ $: 'raw', sql, of }` and `{ $: 'new', entity, v }` (an instance).
 */
export type Data = null | boolean | number | string | readonly Data[] | { readonly [name: string]: Data }

export type DataObject = { readonly [name: string]: Data }

const operators: Readonly<Record<string, (...args: never[]) => unknown>> = {
  And,
  Any,
  ArrayContainedBy,
  ArrayContains,
  ArrayOverlap,
  Between,
  Equal,
  ILike,
  In,
  IsNull,
  JsonContains,
  LessThan,
  LessThanOrEqual,
  Like,
  MoreThan,
  MoreThanOrEqual,
  Not,
  Or,
}

export const op = (name: string, ...of: readonly Data[]): DataObject => ({ $: 'op', name, of })

/** A fresh value each time: TypeORM changes the operators and entities that it is given. */
export function decode(data: Data | undefined): unknown {
  if (data === null || data === undefined || typeof data !== 'object') return data
  if (Array.isArray(data)) return data.map(decode)
  const object = data as DataObject
  return typeof object['$'] === 'string' ? decodeTagged(object) : decodeObject(object)
}

function decodeObject(object: DataObject): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, decode(value)]))
}

function decodeTagged({ $: tag, v, name, of = [], entity, sql }: DataObject): unknown {
  switch (tag) {
    case 'date':
      return new Date(String(v))
    case 'number':
      return Number(v)
    case 'undefined':
      return undefined
    case 'bytes':
      return Buffer.from(String(v), 'hex')
    case 'sql':
      return () => String(v)
    case 'op': {
      const make = operators[String(name)]
      if (!make) throw new RangeError(`There is no operator ${String(name)}.`)
      return make(...(decode(of) as unknown[] as never[]))
    }
    case 'raw':
      return Raw((alias) => String(sql).replaceAll('{}', alias), decode(of) as object)
    case 'new':
      return Object.assign(new entities[entity as EntityName](), decode(v))
    default:
      throw new RangeError(`There is no tag ${String(tag)}.`)
  }
}
