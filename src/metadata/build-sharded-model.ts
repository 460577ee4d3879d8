import { ShardedError } from '../errors/sharded-error'
import type { ShardingFunction } from '../functions/sharding-function'
import type { ColumnDescription, EntityDescription } from './entity-description'
import { findKeyColumns, findShardedArgs } from './find-declaration'
import { idColumnOf, refuseIdColumns } from './id-column'
import { checkLimits, defaultDeadlineMs, defaultRowBudget } from './limits'
import type { EntityTarget, ShardArgsStorage, ShardedArgs } from './shard-args-storage'
import type { KeyColumn, ShardedEntity, ShardedModel, ShardGroup } from './sharded-entity'
import type { Layout, ScatterOptions } from './sharded-options'
import { snakeCase } from './snake-case'

/** What the data source's options add to the decorators. */
export interface ModelDefaults {
  readonly layout: Layout
  readonly scatter: ScatterOptions
  readonly primaryKeyCheck: boolean
  /** Per group, what an environment overrides. */
  readonly groups: Readonly<Record<string, { readonly layout?: Layout; readonly shards?: ShardingFunction }>>
}

interface Declared {
  readonly entity: EntityDescription
  readonly args: ShardedArgs
  readonly keyColumns: readonly ColumnDescription[]
}

/**
 * Checks what the decorators said against the entities and freezes it into a model.
 *
 * @throws ShardedError ENTITY_WITHOUT_SHARD_KEY, KEY_TYPE_UNSUPPORTED, GROUP_CONFLICT, COLOCATION_INVALID,
 *   UNIQUE_WITHOUT_SHARD_KEY, SEQUENCE_ON_SHARDED_ENTITY, RELATION_LEAVES_SHARD, NAME_INVALID,
 *   OPTIONS_INVALID, ID_COLUMN_INVALID
 */
export function buildShardedModel(
  entities: readonly EntityDescription[],
  storage: ShardArgsStorage,
  defaults: ModelDefaults,
): ShardedModel {
  const declared = new Map<EntityTarget, Declared>()
  for (const entity of entities) {
    const args = findShardedArgs(storage, entity.parent ?? entity.target)
    if (args) declared.set(entity.target, { entity, args, keyColumns: keyColumnsOf(storage, entity) })
    else refuseIdColumns(storage, entity)
  }

  const groupOf = new Map<EntityTarget, string>()
  const owners = new Map<string, { declared: Declared; fn: ShardingFunction }>()
  for (const one of declared.values()) {
    // A child of single-table inheritance lies in its parent's table, and so on its parent's shards.
    const root = groupRoot((one.entity.parent !== undefined && declared.get(one.entity.parent)) || one, declared)
    const name = root.args.options.group ?? snakeCase(root.entity.name)
    groupOf.set(one.entity.target, name)
    const owner = owners.get(name)
    const fn = defaults.groups[name]?.shards ?? root.args.fn
    if (!fn) continue
    if (!owner) owners.set(name, { declared: root, fn })
    else if (owner.declared !== root) {
      throw new ShardedError(
        'GROUP_CONFLICT',
        `${owner.declared.entity.name} and ${root.entity.name} both give group "${name}" a sharding function.`,
        { details: { group: name } },
      )
    }
  }

  const groups = new Map<string, ShardGroup>()
  const functions = new Map<string, ShardedEntity['fn']>()
  for (const [name, { declared: root, fn }] of owners) {
    const bound = bindFunction(fn, root)
    functions.set(name, bound)
    groups.set(
      name,
      Object.freeze({
        name,
        labels: fn.labels,
        layout: defaults.groups[name]?.layout ?? root.args.options.layout ?? defaults.layout,
        placementUnits: Object.freeze(fn.labels.map((_, index) => bound.placementUnit(index))),
      }),
    )
  }

  const model = new Map<EntityTarget, ShardedEntity>()
  for (const one of declared.values()) {
    const group = groupOf.get(one.entity.target) ?? ''
    const owner = owners.get(group)
    const fn = functions.get(group)
    if (!owner || !fn) continue
    checkColocation(one, owner.declared)
    checkEntity(one)
    const id = idColumnOf(storage, one.entity, { fn, keyColumns: one.keyColumns })
    model.set(one.entity.target, freezeEntity(one, { group, fn, id }, defaults))
  }
  for (const entity of entities) checkRelations(entity, groupOf)
  return Object.freeze({ entities: model, groups })
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
  for (const column of keyColumns) {
    if (column.keyType) continue
    throw new ShardedError(
      'KEY_TYPE_UNSUPPORTED',
      `${entity.name}.${column.propertyPath} of type ${column.type} cannot be a shard key.`,
      { details: { entity: entity.name, column: column.propertyPath, type: column.type } },
    )
  }
  return keyColumns
}

/** Follows `colocatedWith` to the entity that has the function; the chain is bounded by the number of entities. */
function groupRoot(start: Declared, declared: ReadonlyMap<EntityTarget, Declared>): Declared {
  let current = start
  for (let step = 0; step <= declared.size; step++) {
    const next = current.args.colocatedWith?.()
    if (next === undefined) return current
    const found = declared.get(next) ?? [...declared.values()].find((one) => one.entity.name === next)
    if (!found) {
      throw new ShardedError(
        'COLOCATION_INVALID',
        `${current.entity.name} is colocated with an entity that is not sharded or not among the data source's entities.`,
        { details: { entity: current.entity.name } },
      )
    }
    current = found
  }
  throw new ShardedError('COLOCATION_INVALID', `${start.entity.name} is colocated in a circle.`, {
    details: { entity: start.entity.name },
  })
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

function checkEntity({ entity, args, keyColumns }: Declared): void {
  if (entity.schema !== undefined && entity.schema !== '__shard__') {
    throw new ShardedError(
      'NAME_INVALID',
      `${entity.name} is sharded and names the schema "${entity.schema}": its schemas are its shards.`,
      {
        details: { entity: entity.name, schema: entity.schema },
      },
    )
  }
  for (const column of entity.columns) {
    if (column.generation === undefined || column.generation === 'uuid') continue
    throw new ShardedError(
      'SEQUENCE_ON_SHARDED_ENTITY',
      `${entity.name}.${column.propertyPath} is generated by ${column.generation}.`,
      { details: { entity: entity.name, column: column.propertyPath } },
    )
  }
  if (args.options.perShardUnique) return
  const key = keyColumns.map((column) => column.propertyPath)
  for (const unique of entity.uniques) {
    if (key.every((property) => unique.properties.includes(property))) continue
    throw new ShardedError(
      'UNIQUE_WITHOUT_SHARD_KEY',
      `${entity.name} has the unique constraint ${unique.name} (${unique.properties.join(', ')}) without its shard key (${key.join(', ')}).`,
      { details: { entity: entity.name, constraint: unique.name } },
    )
  }
}

function checkRelations(entity: EntityDescription, groupOf: ReadonlyMap<EntityTarget, string>): void {
  const group = groupOf.get(entity.target)
  for (const relation of entity.relations) {
    const inverse = groupOf.get(relation.inverse)
    if (group === inverse) continue
    if (!relation.hasForeignKey && !relation.isManyToMany && !relation.isEagerOrLazy) continue
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
        column.keyType ? [Object.freeze({ propertyPath: column.propertyPath, type: column.keyType })] : [],
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
