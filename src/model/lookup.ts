import type { BoundFunction } from '../functions/sharding-function'
import type { KeyColumn, ShardedEntity, ShardedModel } from './sharded-entity'
import { declarations, type EntityTarget } from './sharded-options'

/** A lookup of a sharded entity after validation: frozen. */
export interface Lookup {
  /** Of its table and of its colocation group: `user_email_lookup`. */
  readonly name: string
  /** Whose rows it finds; of single-table inheritance the root. */
  readonly entity: ShardedEntity
  /** What is looked up, in order. */
  readonly columns: readonly KeyColumn[]
  readonly primaryKey: readonly KeyColumn[]
  readonly isUnique: boolean
  /** The name that the user gave the constraint or the index. */
  readonly givenName: string | undefined
  /** Places the lookup's rows by the values of `columns`. */
  readonly fn: BoundFunction
}

/** A model with the lookups of its entities; their groups are among its own. */
export interface LookupModel extends ShardedModel {
  readonly lookups: readonly Lookup[]
}

/** What `@GlobalUnique` and `@LookupIndex` leave: of one property that they mark, or of the properties that they list. */
export interface LookupArgs {
  readonly target: EntityTarget
  readonly properties: readonly string[]
  /** It marks a property of the class, which may be a base class or an embedded one; else it lists paths of the entity's. */
  readonly isMark: boolean
  readonly isUnique: boolean
  readonly name: string | undefined
}

/** Where the decorators of lookups leave what they were told, as `shardArgsStorage` does for the others. */
export const lookupArgsStorage = (): LookupArgs[] => declarations('lookups', () => [])

/** On a class or on a property, as TypeORM's `@Unique`. */
export type LookupDecorator = (target: object, propertyName?: string | symbol) => void

/** The decorator of a lookup: on a property it means that one, on a class the properties that are listed. */
function lookupDecorator(
  properties: readonly string[],
  { isUnique, name }: Pick<LookupArgs, 'isUnique' | 'name'>,
): LookupDecorator {
  return (target, propertyName) => {
    const isMark = propertyName !== undefined
    declareLookup({
      target: isMark ? target.constructor : target,
      properties: isMark ? [String(propertyName)] : properties,
      isMark,
      isUnique,
      name,
    })
  }
}

/** Leaves a declaration; what the decorators and the helper for `EntitySchema` share. */
export function declareLookup(args: LookupArgs): void {
  lookupArgsStorage().push(Object.freeze({ ...args, properties: Object.freeze([...args.properties]) }))
}

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

/** The options of `@LookupIndex`. */
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
