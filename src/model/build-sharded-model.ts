import { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import { bindGroups, checkColocation, type GroupDefaults, placeInGroups } from './colocation-groups'
import { refuseCrossedJoin } from './crossed-join'
import { type DeclaredEntity, declaredEntities } from './declared-entities'
import { checkRelations, checkSchema, columnChecks } from './entity-checks'
import type { EntityDescription } from './entity-description'
import { idColumnOf } from './id-column'
import { checkLimits, defaultDeadlineMs, defaultRowBudget } from './limits'
import type { EntityTarget, ShardArgsStorage, ShardedArgs } from './shard-args-storage'
import type { KeyColumn, ShardedEntity, ShardedModel } from './sharded-entity'
import type { ScatterOptions } from './sharded-options'
import { refuseUncheckedRelation } from './unchecked-relation'
import { refuseUnkeptKey } from './unkept-key'

/** What the data source's options add to the decorators. */
export interface ModelDefaults extends GroupDefaults {
  readonly scatter: ScatterOptions
  readonly primaryKeyCheck: boolean
  /** Takes the refusals of a start in place of the first throw. */
  readonly refusals?: Refusals
}

/**
 * Checks what the decorators said against the entities and freezes it into a model. All refusals are reported at once.
 * With `refusals` the caller throws them, and the model lacks the entities and groups that were refused.
 *
 * @throws ShardedError ENTITY_WITHOUT_SHARD_KEY, KEY_COLUMN_INVALID, KEY_TYPE_UNSUPPORTED, GROUP_CONFLICT, COLOCATION_INVALID,
 *   UNIQUE_WITHOUT_SHARD_KEY, SEQUENCE_ON_SHARDED_ENTITY, RELATION_LEAVES_SHARD, NAME_INVALID,
 *   RELATION_UNCHECKED, OPTIONS_INVALID, FUNCTION_INVALID, ID_COLUMN_INVALID; DECLARATIONS_INVALID if there are several
 */
export function buildShardedModel(
  entities: readonly EntityDescription[],
  storage: ShardArgsStorage,
  defaults: ModelDefaults,
): ShardedModel {
  const refusals = defaults.refusals ?? new Refusals()
  const declared = declaredEntities(entities, storage, refusals)
  const { groupOf, owners } = placeInGroups(declared, defaults, refusals)
  const { groups, functions } = bindGroups(owners, defaults, refusals)
  const model = new Map<EntityTarget, ShardedEntity>()
  for (const one of declared.values()) {
    const group = groupOf.get(one.entity.target) ?? ''
    const owner = owners.get(group)
    const fn = functions.get(group)
    if (!owner || !fn || one.keyColumns.length === 0) continue
    const frozen = refusals.attempt(() => {
      checkColocation(one, owner.declared)
      checkSchema(one)
      const id = idColumnOf(storage, one.entity, { fn, keyColumns: one.keyColumns })
      return freezeEntity(one, { group, fn, id }, defaults)
    })
    for (const check of columnChecks(one)) refusals.attempt(check)
    if (frozen) model.set(one.entity.target, frozen)
  }
  const placed = (target: EntityTarget) => !declared.has(target) || groupOf.has(target)
  for (const entity of entities) checkRelations(entity, { groupOf, placed, refusals })
  for (const one of declared.values()) {
    const colocated = (target: EntityTarget) =>
      groupOf.get(target) === groupOf.get(one.entity.target) ? declared.get(target) : undefined
    for (const relation of one.entity.relations) {
      refusals.attempt(() => refuseCrossedJoin(one, relation, colocated))
      refusals.attempt(() => refuseUncheckedRelation(one, relation, colocated))
      refusals.attempt(() => refuseUnkeptKey(one, relation))
    }
  }
  if (!defaults.refusals) refusals.throwAny()
  return Object.freeze({ entities: model, groups })
}

function freezeEntity(
  { entity, args, keyColumns }: DeclaredEntity,
  { group, fn, id }: Pick<ShardedEntity, 'group' | 'fn'> & { readonly id: ShardedEntity['id'] | undefined },
  defaults: ModelDefaults,
): ShardedEntity {
  const primary = entity.columns.filter((column) => column.isPrimary)
  const scatter = { ...defaults.scatter, ...args.options.scatter }
  checkLimits(scatter, `${entity.name}: scatter`)
  return Object.freeze({
    name: entity.name,
    target: entity.target,
    group,
    keyColumns: Object.freeze(
      keyColumns.flatMap((column): KeyColumn[] =>
        column.keyType
          ? [Object.freeze({ propertyPath: column.propertyPath, type: column.keyType, ...column.modifiers })]
          : [],
      ),
    ),
    fn,
    primaryKeyHoldsShardKey: keyColumns.every((column) => primary.includes(column)),
    scatter: Object.freeze({
      reads: scatter.reads ?? 'allow',
      writes: scatter.writes ?? 'allow',
      maxShards: scatter.maxShards ?? Number.POSITIVE_INFINITY,
      rowBudget: scatter.rowBudget ?? defaultRowBudget,
      deadlineMs: scatter.deadlineMs ?? defaultDeadlineMs,
    }),
    primaryKeyCheck: args.options.primaryKeyCheck ?? defaults.primaryKeyCheck,
    onKeyChange: onKeyChangeOf(entity, args),
    ...(id && { id }),
  })
}

function onKeyChangeOf({ name }: EntityDescription, { options }: ShardedArgs): ShardedEntity['onKeyChange'] {
  const { onKeyChange = 'refuse' } = options
  if (onKeyChange === 'move' || onKeyChange === 'refuse') return onKeyChange
  throw new ShardedError('OPTIONS_INVALID', `${name}: onKeyChange is 'move' or 'refuse'.`, {
    details: { entity: name },
  })
}
