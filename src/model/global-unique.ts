import { type LookupDecorator, lookupDecorator } from './declare-lookup'

/**
 * Says that no two rows of a sharded entity, on whatever shards, have the same value: on a property, or on the class with
 * a list of properties, as TypeORM's `@Unique`. NULLs are distinct. A violation is the `QueryFailedError` of a unique
 * constraint: `code` 23505 and `constraint` its name. Reads by the value go to its shard alone.
 *
 * What is said is checked when the data source initialises, with LOOKUP_INVALID.
 *
 * @param name of the constraint; by default the one that TypeORM gives a unique constraint of these columns
 * @example
 * class User {
 *   @ShardKey() @PrimaryColumn('bigint') id!: string
 *   @GlobalUnique() @Column() email!: string
 * }
 * @example
 * \@GlobalUnique('one_name_a_tenant', ['tenant', 'name'])
 * class User { … }
 */
export function GlobalUnique(name?: string): LookupDecorator
export function GlobalUnique(properties: readonly string[]): LookupDecorator
export function GlobalUnique(name: string, properties: readonly string[]): LookupDecorator
export function GlobalUnique(first?: string | readonly string[], second?: readonly string[]): LookupDecorator {
  const name = typeof first === 'string' ? first : undefined
  const properties = typeof first === 'object' ? first : second
  return lookupDecorator(properties ?? [], { isUnique: true, name })
}
