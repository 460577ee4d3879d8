import type { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import type { ShardingFunction } from '../functions/sharding-function'
import type { DeclaredEntity } from './declared-entities'
import type { ColumnDescription } from './entity-description'
import type { ShardedEntity, ShardGroup } from './sharded-entity'
import type { EntityTarget, Layout } from './sharded-options'

/** What the data source's options say of colocation groups. */
export interface GroupDefaults {
  readonly layout: Layout
  /** Per group, what an environment overrides. */
  readonly groups: Readonly<Record<string, { readonly layout?: Layout; readonly shards?: ShardingFunction }>>
}

interface GroupOwner {
  readonly declared: DeclaredEntity
  readonly fn: ShardingFunction
}

/** The group of each entity, and the entity that gives each group its function. */
export function placeInGroups(
  declared: ReadonlyMap<EntityTarget, DeclaredEntity>,
  defaults: GroupDefaults,
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

function refuseSecondOwner(group: string, first: DeclaredEntity, second: DeclaredEntity): never {
  throw new ShardedError(
    'GROUP_CONFLICT',
    `${first.entity.name} and ${second.entity.name} both give group "${group}" a sharding function.`,
    { details: { group } },
  )
}

export function bindGroups(owners: ReadonlyMap<string, GroupOwner>, defaults: GroupDefaults, refusals: Refusals) {
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
        spaces: bound.spaces,
        keyTypes: Object.freeze(root.keyColumns.flatMap((column) => column.keyType ?? [])),
        print: bound.print,
        ...(fn.rolling && { rolling: fn.rolling }),
      }),
    )
  }
  return { groups, functions }
}

/** Follows `colocatedWith` to the entity that has the function; the chain is bounded by the number of entities. */
function groupRoot(start: DeclaredEntity, declared: ReadonlyMap<EntityTarget, DeclaredEntity>): DeclaredEntity {
  let current = start
  const passed: DeclaredEntity[] = []
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
    fix: 'Give one of them a sharding function in place of colocatedWith.',
  })
}

/** The entity that one is colocated with; undefined for one that has the function itself. */
function colocatedOf(
  { entity, args }: DeclaredEntity,
  declared: ReadonlyMap<EntityTarget, DeclaredEntity>,
): DeclaredEntity | undefined {
  const target = args.colocatedWith?.()
  if (target === undefined) return undefined
  const found = declared.get(target) ?? [...declared.values()].find((one) => one.entity.name === target)
  if (found) return found
  throw new ShardedError(
    'COLOCATION_INVALID',
    `${entity.name} is colocated with an entity that is not sharded or not among the data source's entities.`,
    {
      details: { entity: entity.name },
      fix: 'Name a sharded entity of the data source, or give the entity a sharding function.',
    },
  )
}

function bindFunction(fn: ShardingFunction, { entity, keyColumns }: DeclaredEntity): ShardedEntity['fn'] {
  if (fn.arity !== 'any' && fn.arity !== keyColumns.length) {
    throw new ShardedError(
      'FUNCTION_INVALID',
      `${fn.kind} takes ${fn.arity} key column(s), ${entity.name} marks ${keyColumns.length}.`,
      { details: { entity: entity.name } },
    )
  }
  return fn.bind(keyColumns.flatMap((column) => column.keyType ?? []))
}

export function checkColocation({ entity, keyColumns }: DeclaredEntity, root: DeclaredEntity): void {
  const types = (columns: readonly ColumnDescription[]) => columns.map((column) => column.keyType).join(', ')
  if (types(keyColumns) === types(root.keyColumns)) return
  throw new ShardedError(
    'COLOCATION_INVALID',
    `${entity.name} has shard key (${types(keyColumns)}), ${root.entity.name} of the same group has (${types(root.keyColumns)}).`,
    { details: { entity: entity.name, colocatedWith: root.entity.name } },
  )
}

/** `UserAddress` as names of groups have it: `user_address`. */
export const snakeCase = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
