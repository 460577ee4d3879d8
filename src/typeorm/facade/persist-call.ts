import type { ObjectLiteral, RemoveOptions, SaveOptions } from 'typeorm'
import { InstanceChecker } from 'typeorm/util/InstanceChecker'
import { pushTo } from '../../collections/push-to'
import type { EntityBinding } from '../binding/entity-binding'
import type { PersistMode } from '../writes/entity-graph'

export type PersistOptions = SaveOptions & RemoveOptions

/** A call of `save`, `remove`, `softRemove` or `recover`. */
export interface PersistCall {
  /** Undefined where the class of each entity is its target. */
  readonly target: unknown
  /** An entity, or a list of entities. */
  readonly given: unknown
  readonly options: PersistOptions | undefined
}

/** Reads the arguments of TypeORM's overloads: a target that may be left out, an entity or a list, options. */
export function persistCallOf(args: readonly unknown[]): PersistCall {
  const [first, second, third] = args
  const hasTarget =
    args.length > 1 &&
    (typeof first === 'function' || typeof first === 'string' || InstanceChecker.isEntitySchema(first))
  const options = hasTarget ? third : second
  return {
    target: hasTarget ? first : undefined,
    given: hasTarget ? second : first,
    options: isOptions(options) ? options : undefined,
  }
}

/** The entities of a call by their bindings, in order; undefined where it gives something else, of which TypeORM says what is wrong. */
export function groupEntities(
  { target, given }: PersistCall,
  bindingOf: (target: unknown) => EntityBinding | undefined,
): ReadonlyMap<EntityBinding | undefined, ObjectLiteral[]> | undefined {
  const entities: unknown[] = Array.isArray(given) ? given : [given]
  const groups = new Map<EntityBinding | undefined, ObjectLiteral[]>()
  for (const entity of entities) {
    if (entity === null || typeof entity !== 'object') return undefined
    pushTo(groups, bindingOf(target ?? entity.constructor), entity)
  }
  return groups.size > 0 ? groups : undefined
}

type Group = readonly [EntityBinding | undefined, ObjectLiteral[]]

/**
 * The groups in the order in which they are written: what rows refer to is saved before them, and removed after them. One database
 * sorts all of them so. Of groups that refer to each other in a circle the first stays the first.
 */
export function inWriteOrder(
  mode: PersistMode,
  groups: ReadonlyMap<EntityBinding | undefined, ObjectLiteral[]>,
  isReference: (target: unknown) => boolean,
): readonly Group[] {
  const given = [...groups]
  const isFirst = ([binding]: Group, [other, referred]: Group): boolean => {
    if (!other && referred.some((entity) => isReference(entity.constructor))) return true
    return (
      binding?.metadata.relationsWithJoinColumns.some(({ inverseEntityMetadata: { target } }) =>
        other ? other.metadata.target === target : referred.some((entity) => entity.constructor === target),
      ) === true
    )
  }
  const sorted = new Set<Group>()
  const visited = new Set<Group>()
  const visit = (group: Group): void => {
    if (visited.has(group)) return
    visited.add(group)
    for (const other of given) if (mode === 'remove' ? isFirst(other, group) : isFirst(group, other)) visit(other)
    sorted.add(group)
  }
  for (const group of given) visit(group)
  return [...sorted]
}

/** Every field of the options may be left out. */
const isOptions = (value: unknown): value is PersistOptions => typeof value === 'object' && value !== null
