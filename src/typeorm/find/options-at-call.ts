import type { EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { cloneWhere } from './clone-where'
import { isLiteral } from './find-predicate'
import { keysOfRelations } from './keys-of-relations'

type Options = FindManyOptions<ObjectLiteral>

/**
 * A copy of find options as they are at the call; the objects in their condition as they are a turn later. Conditions on keys of
 * relations that lead apart are conditions on the columns here.
 */
export function optionsAtCall(metadata: EntityMetadata, given: Options): Options | Promise<Options> {
  const copy: ObjectLiteral = Object.assign({}, literalOptions(given))
  for (const name of Object.keys(copy)) if (name !== 'where') copy[name] = copyOption(copy[name])
  const where: unknown = conditionAtCall(metadata, copy['where'])
  if (where instanceof Promise)
    return where.then((settled) => keysOfRelations(metadata, copyWith(copy, { where: settled })))
  if (where !== undefined) copy['where'] = where
  return keysOfRelations(metadata, copy)
}

function copyOption(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyOption)
  if (value instanceof Date) return new Date(value)
  // TypeORM reads what these inherit too.
  const copy: ObjectLiteral = Object.create(Object.getPrototypeOf(value))
  for (const [name, inner] of Object.entries(value)) copy[name] = copyOption(inner)
  return copy
}

/** All options that TypeORM knows: the compiler tells when it knows another. */
const names: Readonly<Record<keyof Options, true>> = {
  comment: true,
  select: true,
  where: true,
  relations: true,
  relationLoadStrategy: true,
  order: true,
  cache: true,
  lock: true,
  withDeleted: true,
  loadRelationIds: true,
  loadEagerRelations: true,
  transaction: true,
  skip: true,
  take: true,
}

/**
 * Find options as an object literal, which a copy has whole: TypeORM's own reads take options of a class too, with getters
 * and what is inherited.
 */
function literalOptions(options: Options): Options {
  if (isLiteral(options)) return options
  const given: ObjectLiteral = options
  const literal: ObjectLiteral = { ...options }
  for (const name in names) if (given[name] !== undefined) literal[name] = given[name]
  return literal
}

/**
 * A copy of a condition as it is at the call: its owner may change it before it is read here, as it may with plain TypeORM, which
 * makes the SQL at the call. The driver reads objects that are parameters (a `Date`, the list of `Any`) later, when it sends
 * them. Their owner has gone on by then: the copy is made a turn later, and both the route and the statement are made of it.
 */
export function conditionAtCall<Where>(metadata: EntityMetadata, condition: Where): Where | Promise<Where> {
  if (typeof condition !== 'object' || condition === null) return condition
  let isSentLater = false
  const copy = cloneWhere(metadata, condition, (value, readTime) => {
    if (readTime === 'call') return copyValue(value)
    isSentLater ||= typeof value === 'object' && value !== null
    return value
  })
  return isSentLater ? Promise.resolve().then(() => cloneWhere(metadata, copy, copyValue)) : copy
}

/** Only its class knows how to copy an object of another class: it stays the caller's. */
function copyValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyValue)
  if (value instanceof Date) return new Date(value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (!isLiteral(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, copyValue(inner)]))
}
