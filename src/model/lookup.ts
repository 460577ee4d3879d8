import type { BoundFunction } from '../functions/sharding-function'
import type { KeyColumn, ShardedEntity, ShardedModel } from './sharded-entity'

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
