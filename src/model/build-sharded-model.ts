import { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import type { ShardingFunction } from '../functions/sharding-function'
import { refuseCrossedJoin } from './crossed-join'
import type { ColumnDescription, EntityDescription } from './entity-description'
import { findKeyColumns, findShardedArgs } from './find-declaration'
import { idColumnOf, refuseIdColumns } from './id-column'
import { checkLimits, defaultDeadlineMs, defaultRowBudget } from './limits'
import type { EntityTarget, ShardArgsStorage, ShardedArgs } from './shard-args-storage'
import type { KeyColumn, ShardedEntity, ShardedModel, ShardGroup } from './sharded-entity'
import type { Layout, ScatterOptions } from './sharded-options'
import { snakeCase } from './snake-case'
import { refuseUncheckedRelation } from './unchecked-relation'
import { refuseUnkeptKey } from './unkept-key'

/** What the data source's options add to the decorators. */
export interface ModelDefaults {
  readonly layout: Layout
  readonly scatter: ScatterOptions
  readonly primaryKeyCheck: boolean
  /** Takes the refusals of a start in place of the first throw. */
  readonly refusals?: Refusals
  /** Per group, what an environment overrides. */
  readonly groups: Readonly<Record<string, { readonly layout?: Layout; readonly shards?: ShardingFunction }>>
}

interface Declared {
  readonly entity: EntityDescription
  readonly args: ShardedArgs
  readonly keyColumns: readonly ColumnDescription[]
}

interface GroupOwner {
  readonly declared: Declared
  readonly fn: ShardingFunction
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

/** The entities that are declared sharded; one whose shard key is refused has no key columns here. */
function declaredEntities(
  entities: readonly EntityDescription[],
  storage: ShardArgsStorage,
  refusals: Refusals,
): ReadonlyMap<EntityTarget, Declared> {
  const declared = new Map<EntityTarget, Declared>()
  for (const entity of entities) {
    const args = findShardedArgs(storage, entity.parent ?? entity.target)
    if (args) {
      const keyColumns = refusals.attempt(() => keyColumnsOf(storage, entity)) ?? []
      declared.set(entity.target, { entity, args, keyColumns })
    } else refusals.attempt(() => refuseIdColumns(storage, entity))
  }
  return declared
}

/** The group of each entity, and the entity that gives each group its function. */
function placeInGroups(
  declared: ReadonlyMap<EntityTarget, Declared>,
  defaults: ModelDefaults,
  refusals: Refusals,
): { readonly groupOf: ReadonlyMap<EntityTarget, string>; readonly owners: ReadonlyMap<string, GroupOwner> } {
  const groupOf = new Map<EntityTarget, string>()
  const owners = new Map<string, GroupOwner>()
  for (const one of declared.values()) {
    // A child of single-table inheritance lies in its parent's table, and so on its parent's shards.
    const parent = one.entity.parent !== undefined && declared.get(one.entity.parent)
    const root = refusals.attempt(() => groupRoot(parent || one, declared))
    if (!root) continue
    const name = root.args.options.group ?? snakeCase(root.entity.name)
    groupOf.set(one.entity.target, name)
    const fn = defaults.groups[name]?.shards ?? root.args.fn
    if (!fn) continue
    const owner = owners.get(name)
    if (!owner) owners.set(name, { declared: root, fn })
    else if (owner.declared !== root) refusals.attempt(() => refuseSecondOwner(name, owner.declared, root))
  }
  return { groupOf, owners }
}

function refuseSecondOwner(group: string, first: Declared, second: Declared): never {
  throw new ShardedError(
    'GROUP_CONFLICT',
    `${first.entity.name} and ${second.entity.name} both give group "${group}" a sharding function.`,
    { details: { group } },
  )
}

function bindGroups(owners: ReadonlyMap<string, GroupOwner>, defaults: ModelDefaults, refusals: Refusals) {
  const groups = new Map<string, ShardGroup>()
  const functions = new Map<string, ShardedEntity['fn']>()
  for (const [name, { declared: root, fn }] of owners) {
    // Its shard key is refused already.
    if (root.keyColumns.length === 0) continue
    const bound = refusals.attempt(() => bindFunction(fn, root))
    if (!bound) continue
    functions.set(name, bound)
    groups.set(
      name,
      Object.freeze({
        name,
        labels: fn.labels,
        layout: defaults.groups[name]?.layout ?? root.args.options.layout ?? defaults.layout,
        placementUnits: Object.freeze(fn.labels.map((_, index) => bound.placementUnit(index))),
        keyTypes: Object.freeze(root.keyColumns.flatMap((column) => column.keyType ?? [])),
        print: bound.print,
      }),
    )
  }
  return { groups, functions }
}

function keyColumnsOf(storage: ShardArgsStorage, entity: EntityDescription): readonly ColumnDescription[] {
  const keyColumns = findKeyColumns(storage, entity)
  if (keyColumns.length === 0) {
    throw new ShardedError(
      'ENTITY_WITHOUT_SHARD_KEY',
      `${entity.name} is @Sharded, but none of its columns is marked.`,
      {
        details: { entity: entity.name },
      },
    )
  }
  // A child of single-table inheritance has its columns in its root's table: what is wrong with them is said of the root.
  if (entity.parent === undefined) for (const column of keyColumns) checkKeyColumn(entity, column)
  return keyColumns
}

function checkKeyColumn(
  { name }: EntityDescription,
  { propertyPath, type, keyType, writtenBy }: ColumnDescription,
): void {
  const details = { entity: name, column: propertyPath, type }
  if (writtenBy !== undefined)
    throw new ShardedError('KEY_COLUMN_INVALID', `${name}.${propertyPath} cannot be a shard key: ${writtenBy}.`, {
      details,
    })
  if (keyType) return
  throw new ShardedError('KEY_TYPE_UNSUPPORTED', `${name}.${propertyPath} of type ${type} cannot be a shard key.`, {
    details,
  })
}

/** Follows `colocatedWith` to the entity that has the function; the chain is bounded by the number of entities. */
function groupRoot(start: Declared, declared: ReadonlyMap<EntityTarget, Declared>): Declared {
  let current = start
  const passed: Declared[] = []
  while (!passed.includes(current)) {
    passed.push(current)
    const next = colocatedOf(current, declared)
    if (next === undefined) return current
    current = next
  }
  // The same words from whichever entity the circle is met: they are one refusal.
  const circle = passed.slice(passed.indexOf(current)).map(({ entity }) => entity.name)
  throw new ShardedError('COLOCATION_INVALID', `${circle.sort().join(', ')}: colocated in a circle.`, {
    details: { entity: circle[0], circle },
  })
}

/** The entity that one is colocated with; undefined for one that has the function itself. */
function colocatedOf({ entity, args }: Declared, declared: ReadonlyMap<EntityTarget, Declared>): Declared | undefined {
  const target = args.colocatedWith?.()
  if (target === undefined) return undefined
  const found = declared.get(target) ?? [...declared.values()].find((one) => one.entity.name === target)
  if (found) return found
  throw new ShardedError(
    'COLOCATION_INVALID',
    `${entity.name} is colocated with an entity that is not sharded or not among the data source's entities.`,
    { details: { entity: entity.name } },
  )
}

function bindFunction(fn: ShardingFunction, { entity, keyColumns }: Declared): ShardedEntity['fn'] {
  if (fn.arity !== 'any' && fn.arity !== keyColumns.length) {
    throw new ShardedError(
      'FUNCTION_INVALID',
      `${fn.kind} takes ${fn.arity} key column(s), ${entity.name} marks ${keyColumns.length}.`,
      { details: { entity: entity.name } },
    )
  }
  return fn.bind(keyColumns.flatMap((column) => column.keyType ?? []))
}

function checkColocation({ entity, keyColumns }: Declared, root: Declared): void {
  const types = (columns: readonly ColumnDescription[]) => columns.map((column) => column.keyType).join(', ')
  if (types(keyColumns) === types(root.keyColumns)) return
  throw new ShardedError(
    'COLOCATION_INVALID',
    `${entity.name} has shard key (${types(keyColumns)}), ${root.entity.name} of the same group has (${types(root.keyColumns)}).`,
    { details: { entity: entity.name, colocatedWith: root.entity.name } },
  )
}

function checkSchema({ entity }: Declared): void {
  if (entity.schema === undefined || entity.schema === '__shard__') return
  throw new ShardedError(
    'NAME_INVALID',
    `${entity.name} is sharded and names the schema "${entity.schema}": its schemas are its shards.`,
    { details: { entity: entity.name, schema: entity.schema } },
  )
}

/** One check for each column and constraint: each may be refused on its own. */
function columnChecks({ entity, args, keyColumns }: Declared): readonly (() => void)[] {
  const key = keyColumns.map((column) => column.propertyPath)
  const uniques = args.options.perShardUnique ? [] : entity.uniques
  return [
    ...entity.columns.map((column) => () => checkGeneration(entity, column)),
    ...uniques.map((unique) => () => checkUnique(entity, unique, key)),
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
  key: readonly string[],
): void {
  if (key.every((property) => unique.properties.includes(property))) return
  throw new ShardedError(
    'UNIQUE_WITHOUT_SHARD_KEY',
    `${entity.name} has the unique constraint ${unique.name} (${unique.properties.join(', ')}) without its shard key (${key.join(', ')}).`,
    { details: { entity: entity.name, constraint: unique.name } },
  )
}

interface Placed {
  readonly groupOf: ReadonlyMap<EntityTarget, string>
  /** False for a sharded entity whose group is refused: where its relations lead is not known. */
  readonly placed: (target: EntityTarget) => boolean
  readonly refusals: Refusals
}

function checkRelations(entity: EntityDescription, { groupOf, placed, refusals }: Placed): void {
  if (!placed(entity.target)) return
  const group = groupOf.get(entity.target)
  for (const relation of entity.relations) {
    if (group !== groupOf.get(relation.inverse) && placed(relation.inverse))
      refusals.attempt(() => checkRelation(entity, relation))
  }
}

function checkRelation(entity: EntityDescription, relation: EntityDescription['relations'][number]): void {
  if (!relation.hasForeignKey && !relation.isManyToMany && !relation.isEagerOrLazy) return
  const link = relation.isManyToMany
    ? 'a junction table'
    : relation.hasForeignKey
      ? 'a foreign key'
      : 'an eager or lazy relation'
  throw new ShardedError(
    'RELATION_LEAVES_SHARD',
    `${entity.name}.${relation.property} needs ${link} to ${relation.inverseName}, which is not colocated with ${entity.name}.`,
    { details: { entity: entity.name, relation: relation.property, inverse: relation.inverseName } },
  )
}

function freezeEntity(
  { entity, args, keyColumns }: Declared,
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
