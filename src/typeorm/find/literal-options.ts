import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { isLiteral } from './find-predicate'

type Options = FindManyOptions<ObjectLiteral>

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
export function literalOptions(options: Options): Options {
  if (isLiteral(options)) return options
  const given: ObjectLiteral = options
  const literal: ObjectLiteral = { ...options }
  for (const name in names) if (given[name] !== undefined) literal[name] = given[name]
  return literal
}
