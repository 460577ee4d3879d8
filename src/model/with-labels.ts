import type { LookupModel } from './lookup'
import type { ModelEntity, ShardedEntity, ShardGroup } from './sharded-entity'
import type { EntityTarget } from './sharded-options'

/**
 * The same model with other labels of groups whose shards come and go with time.
 *
 * @param labels by the name of the group
 */
export function withLabels(model: LookupModel, labels: ReadonlyMap<string, readonly string[]>): LookupModel {
  const groups = new Map(model.groups)
  const functions = new Map<string, ShardedEntity['fn']>()
  for (const [name, wanted] of labels) {
    const group = model.groups.get(name)
    if (!group?.rolling || wanted.length === 0 || isSame(group.labels, wanted)) continue
    const fn = group.rolling.over(wanted)
    const bound = fn.bind(group.keyTypes)
    functions.set(name, bound)
    const { spaces, print } = bound
    groups.set(name, Object.freeze<ShardGroup>({ ...group, labels: fn.labels, spaces, print }))
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

const isSame = (labels: readonly string[], wanted: readonly string[]): boolean =>
  labels.length === wanted.length && labels.every((label, place) => label === wanted[place])
