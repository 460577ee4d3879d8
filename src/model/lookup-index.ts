import { type LookupDecorator, lookupDecorator } from './declare-lookup'

export interface LookupIndexOptions {
  /** No two rows have the same value: `@GlobalUnique` by another name. Default false. */
  readonly unique?: boolean
  /** Of the unique constraint, or of the index on each shard's table. Default: the one that TypeORM gives. */
  readonly name?: string
}

/**
 * Keeps, for a column of a sharded entity (or several), which shard keys its values have, so that a condition with
 * equality or `In` on it asks those shards alone. On a property, or on the class with a list of properties.
 *
 * What is said is checked when the data source initialises, with LOOKUP_INVALID.
 *
 * @example
 * class Order {
 *   @ShardKey() @Column('bigint') userId!: string
 *   @LookupIndex() @Column() invoice!: string
 * }
 */
export function LookupIndex(options?: LookupIndexOptions): LookupDecorator
export function LookupIndex(properties: readonly string[], options?: LookupIndexOptions): LookupDecorator
export function LookupIndex(
  first: LookupIndexOptions | readonly string[] = {},
  second: LookupIndexOptions = {},
): LookupDecorator {
  const properties = isList(first) ? first : []
  const { unique = false, name } = isList(first) ? second : first
  return lookupDecorator(properties, { isUnique: unique, name })
}

const isList = (first: LookupIndexOptions | readonly string[]): first is readonly string[] => Array.isArray(first)
