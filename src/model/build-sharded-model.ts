import { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import { bindGroups, checkColocation, type GroupDefaults, placeInGroups } from './colocation-groups'
import { type DeclaredEntity, declaredEntities, idColumnOf } from './declared-entities'
import type { ColumnDescription, EntityDescription } from './entity-description'
import { checkLimits, defaultDeadlineMs, defaultRowBudget } from './limits'
import { isDeclaredReference } from './reference-table'
import { referencedUniques } from './referenced-uniques'
import { checkRelations, refuseCrossedJoin, refuseScatteredTree, refuseUnkeptKey } from './relation-checks'
import { relationsApart } from './relations-apart'
import {
  type HomeEntity,
  holdsShardKey,
  type KeyColumn,
  type ModelEntity,
  type ReferenceEntity,
  type ShardedEntity,
  type ShardedModel,
} from './sharded-entity'
import type { EntityTarget, ScatterOptions, ShardArgsStorage, ShardedArgs } from './sharded-options'

/** What the data source's options add to the decorators. */
export interface ModelDefaults extends GroupDefaults {
  readonly scatter: ScatterOptions
  readonly primaryKeyCheck: boolean
  /** The application does `onDelete` of relations that lead apart, where what they refer to is sharded. */
  readonly doesOnDelete?: boolean
  /** Takes the refusals of a start in place of the first throw. */
  readonly refusals?: Refusals
}

/**
 * Checks what the decorators said against the entities and freezes it into a model. All refusals are reported at once.
 * With `refusals` the caller throws them, and the model lacks the entities and groups that were refused.
 *
 * @throws ShardedError ENTITY_WITHOUT_SHARD_KEY, KEY_COLUMN_INVALID, KEY_TYPE_UNSUPPORTED, GROUP_CONFLICT, COLOCATION_INVALID,
 *   UNIQUE_WITHOUT_SHARD_KEY, SEQUENCE_ON_SHARDED_ENTITY, RELATION_LEAVES_SHARD, NAME_INVALID,
 *   RELATION_ACTION_UNSUPPORTED, OPTIONS_INVALID, FUNCTION_INVALID, ID_COLUMN_INVALID, REFERENCE_INVALID;
 *   DECLARATIONS_INVALID if there are several
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
  const described = new Map(entities.map((entity) => [entity.target, entity]))
  const isReferenceTarget = (target: EntityTarget): boolean => isReference(described.get(target))
  const places = { groupOf, declared, entities: described, isReference: isReferenceTarget }
  const model = new Map<EntityTarget, ModelEntity>()
  for (const one of declared.values()) {
    const group = groupOf.get(one.entity.target) ?? ''
    const owner = owners.get(group)
    const fn = functions.get(group)
    if (!owner || !fn || one.keyColumns.length === 0) continue
    const apart = relationsApart(one.entity, places)
    const colocated = (target: EntityTarget) => (groupOf.get(target) === group ? described.get(target) : undefined)
    const uniquesByReference = referencedUniques(one.entity, { apart, colocated })
    refusals.attemptAll([
      () => checkSchema(one),
      () => refuseScatteredTree(one),
      ...columnChecks(one, uniquesByReference),
    ])
    const frozen = refusals.attempt(() => {
      checkColocation(one, owner.declared)
      const id = idColumnOf(storage, one.entity, { fn, keyColumns: one.keyColumns })
      return freezeEntity(one, { group, fn, id, relationsApart: apart, uniquesByReference }, defaults)
    })
    if (frozen) model.set(one.entity.target, frozen)
  }
  for (const entity of entities) {
    if (!declared.has(entity.target)) model.set(entity.target, unshardedEntity(entity, relationsApart(entity, places)))
    if (isReference(entity)) refusals.attempt(() => checkReference(entity, declared.has(entity.target)))
  }
  const placed = (target: EntityTarget) => !declared.has(target) || groupOf.has(target)
  for (const entity of entities)
    checkRelations(entity, { ...places, placed, refusals, doesOnDelete: defaults.doesOnDelete ?? false })
  for (const one of declared.values()) {
    const colocated = (target: EntityTarget) =>
      groupOf.get(target) === groupOf.get(one.entity.target) ? declared.get(target) : undefined
    for (const relation of one.entity.relations) {
      refusals.attempt(() => refuseCrossedJoin(one, relation, colocated))
      refusals.attempt(() => refuseUnkeptKey(one, relation, places))
    }
  }
  if (!defaults.refusals) refusals.throwAny()
  return Object.freeze({ entities: model, groups })
}

/** A child of single-table inheritance has its rows in its root's table. */
const isReference = (entity: EntityDescription | undefined): boolean =>
  entity !== undefined && isDeclaredReference(entity.parent ?? entity.target)

const unshardedEntity = (entity: EntityDescription, apart: ReadonlySet<string>): HomeEntity | ReferenceEntity => {
  const { name, target } = entity
  return Object.freeze({ kind: isReference(entity) ? 'reference' : 'home', name, target, relationsApart: apart })
}

/** @throws ShardedError REFERENCE_INVALID */
function checkReference({ name, columns }: EntityDescription, isSharded: boolean): void {
  const refuse = (reason: string) =>
    new ShardedError('REFERENCE_INVALID', `${name} cannot be a reference table: ${reason}.`, {
      details: { entity: name },
    })
  if (isSharded) throw refuse('it is @Sharded too')
  if (!columns.some((column) => column.isPrimary)) throw refuse('it has no primary key')
}

function freezeEntity(
  { entity, args, keyColumns }: DeclaredEntity,
  placing: Pick<ShardedEntity, 'group' | 'fn' | 'relationsApart' | 'uniquesByReference'> & {
    readonly id: ShardedEntity['id'] | undefined
  },
  defaults: ModelDefaults,
): ShardedEntity {
  const { group, fn, id, relationsApart, uniquesByReference } = placing
  const primary = entity.columns.filter((column) => column.isPrimary)
  const scatter = { ...defaults.scatter, ...args.options.scatter }
  checkLimits(scatter, `${entity.name}: scatter`)
  return Object.freeze({
    kind: 'sharded',
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
    relationsApart,
    uniquesByReference,
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

function checkSchema({ entity }: DeclaredEntity): void {
  if (entity.schema === undefined || entity.schema === '__shard__') return
  throw new ShardedError(
    'NAME_INVALID',
    `${entity.name} is sharded and names the schema "${entity.schema}": its schemas are its shards.`,
    {
      details: { entity: entity.name, schema: entity.schema },
      fix: 'Leave the schema out. The option group of @Sharded gives the schemas another name.',
    },
  )
}

/** One check for each column and constraint: each may be refused on its own. */
function columnChecks(
  { entity, args, keyColumns }: DeclaredEntity,
  byReference: ReadonlySet<string>,
): readonly (() => void)[] {
  const uniques = args.options.perShardUnique ? [] : entity.uniques.filter(({ name }) => !byReference.has(name))
  return [
    ...entity.columns.map((column) => () => checkGeneration(entity, column)),
    ...uniques.map((unique) => () => checkUnique(entity, unique, keyColumns)),
  ]
}

function checkGeneration(entity: EntityDescription, column: ColumnDescription): void {
  if (column.generation === undefined || column.generation === 'uuid') return
  throw new ShardedError(
    'SEQUENCE_ON_SHARDED_ENTITY',
    `${entity.name}.${column.propertyPath} is generated by ${column.generation}.`,
    { details: { entity: entity.name, column: column.propertyPath } },
  )
}

function checkUnique(
  entity: EntityDescription,
  unique: EntityDescription['uniques'][number],
  keyColumns: readonly ColumnDescription[],
): void {
  if (holdsShardKey(unique.properties, { keyColumns })) return
  const key = keyColumns.map((column) => column.propertyPath)
  throw new ShardedError(
    'UNIQUE_WITHOUT_SHARD_KEY',
    `${entity.name} has the unique constraint ${unique.name} (${unique.properties.join(', ')}) without its shard key (${key.join(', ')}).`,
    { details: { entity: entity.name, constraint: unique.name } },
  )
}
