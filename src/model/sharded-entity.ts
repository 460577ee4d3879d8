import type { BoundFunction, FunctionPrint, RollingFunction } from '../functions/sharding-function'
import type { ShardedIdKind } from '../ids/sharded-id-kind'
import type { ColumnType, KeyType } from '../values/key-type'
import type { EntityTarget, KeyChangePolicy, Layout, ScatterOptions } from './sharded-options'

export interface KeyColumn extends ColumnType {
  readonly propertyPath: string
}

/** The column whose values `@ShardedId` makes. */
export interface IdColumn extends KeyColumn {
  readonly kind: ShardedIdKind
  /** Its values carry the slot of the row's shard key. Not where the key has no slots, nor where the id is a part of it. */
  readonly carriesSlot: boolean
}

/** A sharded entity after validation: frozen. */
export interface ShardedEntity {
  readonly kind: 'sharded'
  readonly name: string
  readonly target: EntityTarget
  readonly group: string
  /** In the order in which the sharding function takes them. */
  readonly keyColumns: readonly KeyColumn[]
  readonly fn: BoundFunction
  readonly primaryKeyHoldsShardKey: boolean
  readonly scatter: Readonly<Required<ScatterOptions>>
  readonly primaryKeyCheck: boolean
  readonly onKeyChange: KeyChangePolicy
  /** The property paths of relations whose other row may be elsewhere: no foreign key is made for them, and no join follows them. */
  readonly relationsApart: ReadonlySet<string>
  /** The names of unique constraints without the shard key that hold over all shards; see `referencedUniques`. */
  readonly uniquesByReference: ReadonlySet<string>
  /** Undefined: the entity's ids are not made here. */
  readonly id?: IdColumn
}

/** An entity without `@Sharded`, whose table is on the home node: frozen. */
export interface HomeEntity {
  readonly kind: 'home'
  readonly name: string
  readonly target: EntityTarget
  /** As a sharded entity has them. */
  readonly relationsApart: ReadonlySet<string>
}

/** An entity with `@ReferenceTable`, of which every node has a full copy: frozen. */
export interface ReferenceEntity {
  readonly kind: 'reference'
  readonly name: string
  readonly target: EntityTarget
  /** As a sharded entity has them. */
  readonly relationsApart: ReadonlySet<string>
}

/** Any entity of a data source, by where its rows are. */
export type ModelEntity = ShardedEntity | HomeEntity | ReferenceEntity

/** A colocation group after validation: frozen. */
export interface ShardGroup {
  readonly name: string
  readonly labels: readonly string[]
  readonly layout: Layout
  readonly spaces: BoundFunction['spaces']
  /** The types of the shard key's columns; none of a lookup, whose rows are derived. */
  readonly keyTypes: readonly KeyType[]
  readonly print: FunctionPrint
  /** Of a function whose shards come and go with time. */
  readonly rolling?: RollingFunction
}

/** All that the decorators said, after validation: frozen. */
export interface ShardedModel {
  /** Those that were refused are missing. */
  readonly entities: ReadonlyMap<EntityTarget, ModelEntity>
  readonly groups: ReadonlyMap<string, ShardGroup>
}

/** The entity of a target; undefined where it is none, not sharded, or refused. */
export function shardedEntity(
  { entities }: Pick<ShardedModel, 'entities'>,
  target: unknown,
): ShardedEntity | undefined {
  const entity = entities.get(target)
  return entity?.kind === 'sharded' ? entity : undefined
}

/** Whether every node has a full copy of an entity. */
export const isReferenceEntity = ({ entities }: Pick<ShardedModel, 'entities'>, target: unknown): boolean =>
  entities.get(target)?.kind === 'reference'

/** Whether a constraint of some properties holds over all shards: rows with equal values of it are on one shard. */
export const holdsShardKey = (
  properties: readonly string[],
  { keyColumns }: { readonly keyColumns: readonly Pick<KeyColumn, 'propertyPath'>[] },
): boolean => keyColumns.every(({ propertyPath }) => properties.includes(propertyPath))
