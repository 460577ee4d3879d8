import type { EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { conditionAtCall } from './condition-at-call'
import { literalOptions } from './literal-options'

type Options = FindManyOptions<ObjectLiteral>

/** A copy of find options as they are at the call; the objects in their condition as they are a turn later. */
export function optionsAtCall(metadata: EntityMetadata, given: Options): Options | Promise<Options> {
  const copy: ObjectLiteral = Object.assign({}, literalOptions(given))
  for (const name of Object.keys(copy)) if (name !== 'where') copy[name] = copyOption(copy[name])
  const where: unknown = conditionAtCall(metadata, copy['where'])
  if (where instanceof Promise) return where.then((settled) => copyWith(copy, { where: settled }))
  if (where !== undefined) copy['where'] = where
  return copy
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
