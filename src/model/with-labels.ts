import { type StoredUnit, storedFunction } from '../functions/stored-function'
import type { LookupModel } from './lookup'
import type { ModelEntity, ShardedEntity, ShardGroup } from './sharded-entity'
import type { EntityTarget } from './sharded-options'

/** Shards that a group is to have. Without `units`, those of a group whose shards come and go with time. */
export interface WantedShards {
  readonly labels: readonly string[]
  /** What each of them owns, as it is stored. */
  readonly units?: readonly StoredUnit[]
}

/**
 * The same model with other shards of some groups. A group whose function cannot be made of what is stored stays as it is.
 *
 * @param shards by the name of the group
 */
export function withLabels(model: LookupModel, shards: ReadonlyMap<string, WantedShards>): LookupModel {
  const groups = new Map(model.groups)
  const functions = new Map<string, ShardedEntity['fn']>()
  for (const [name, wanted] of shards) {
    const group = model.groups.get(name)
    if (!group || wanted.labels.length === 0 || isSame(group.labels, wanted.labels)) continue
    const made = functionOf(group, wanted)
    if (!made) continue
    const { labels, bound } = made
    functions.set(name, bound)
    const { spaces, print } = bound
    groups.set(name, Object.freeze<ShardGroup>({ ...group, labels, spaces, print }))
  }
  if (functions.size === 0) return model
  const withFunction = (entity: ShardedEntity): ShardedEntity => {
    const fn = functions.get(entity.group)
    return fn ? Object.freeze({ ...entity, fn }) : entity
  }
  const entities = new Map<EntityTarget, ModelEntity>()
  for (const [target, entity] of model.entities)
    entities.set(target, entity.kind === 'sharded' ? withFunction(entity) : entity)
  const lookups = model.lookups.map((lookup) => Object.freeze({ ...lookup, entity: withFunction(lookup.entity) }))
  return Object.freeze({ ...model, entities, groups, lookups: Object.freeze(lookups) })
}

function functionOf({ rolling, print, keyTypes }: ShardGroup, { labels, units }: WantedShards) {
  if (rolling) {
    const fn = rolling.over(labels)
    return { labels: fn.labels, bound: fn.bind(keyTypes) }
  }
  const bound = units && storedFunction(print.rule, units, keyTypes)
  return bound && { labels: Object.freeze(labels), bound }
}

const isSame = (labels: readonly string[], wanted: readonly string[]): boolean =>
  labels.length === wanted.length && labels.every((label, place) => label === wanted[place])
