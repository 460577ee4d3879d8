import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import { loadedRelation } from '../binding/entity-shards'
import { rowText } from '../binding/primary-key-text'
import { cascadesOf, leadsApart } from '../binding/relation-apart'
import type { ShardRuntime } from '../runners/shard-runtime'
import { cascadesIn, type PersistMode } from './entity-graph'

/** Objects elsewhere with which the same is done as with those that refer to them, by a call of its own. */
export interface CascadedPart {
  readonly metadata: EntityMetadata
  readonly entities: readonly ObjectLiteral[]
}

interface CascadeWalk {
  readonly mode: Exclude<PersistMode, 'save'>
  readonly runtime: Pick<ShardRuntime, 'bindingOf' | 'references'>
  /** Told of each object that is reached, the given ones too. */
  readonly onReach: (object: ObjectLiteral, metadata: EntityMetadata) => void
}

/**
 * What `remove`, `softRemove` and `recover` reach by cascades over relations to rows elsewhere: of each object that is reached so, the call
 * does the same with what lies together with it. Reference tables come last: rows of shards refer to theirs.
 *
 * @throws ShardedError CROSS_SHARD_RELATION where an object is reached by two calls: TypeORM would do it twice
 */
export function cascadedParts(
  metadata: EntityMetadata,
  entities: readonly ObjectLiteral[],
  { mode, runtime, onReach }: CascadeWalk,
): readonly CascadedPart[] {
  const roots = new Map<EntityMetadata, ObjectLiteral[]>()
  /** By which call an object, and a row, is reached. */
  const calls = new Map<ObjectLiteral | string, object>()
  const waiting: Reached[] = []

  /** Notes what a call reaches by itself, and what waits for a call of its own. */
  const visit = ({ metadata: at, object }: Reached, call: object): void => {
    if (calls.get(object) === call) return
    const key = at.hasAllPrimaryKeys(object) ? rowText(at, object) : object
    if (calls.has(object) || (calls.has(key) && calls.get(key) !== call)) throw reachedTwice(at)
    calls.set(object, call)
    calls.set(key, call)
    onReach(object, at)
    for (const relation of at.relations) {
      if (!cascadesIn(cascadesOf(relation), mode)) continue
      const inverse = relation.inverseEntityMetadata
      const isHere = runtime.bindingOf(at.target) ? !leadsApart(relation) && runtime.bindingOf(inverse.target) : true
      for (const one of loadedRelation(relation, object)) {
        if (isHere) visit({ metadata: inverse, object: one }, call)
        else waiting.push({ metadata: inverse, object: one })
      }
      // A call of an unsharded entity is TypeORM's, which follows no relation of a shard to elsewhere.
    }
  }
  const first = {}
  for (const object of entities) visit({ metadata, object }, first)
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { metadata: at, object } = next
    if (calls.has(object) || (at.hasAllPrimaryKeys(object) && calls.has(rowText(at, object)))) continue
    visit(next, {})
    pushTo(roots, at, object)
  }
  const parts = [...roots].map(([at, own]) => ({ metadata: at, entities: own }))
  const isLast = (part: CascadedPart): boolean => runtime.references.has(part.metadata.target)
  return [...parts.filter((part) => !isLast(part)), ...parts.filter(isLast)]
}

interface Reached {
  readonly metadata: EntityMetadata
  readonly object: ObjectLiteral
}

const reachedTwice = ({ name }: EntityMetadata): ShardedError =>
  new ShardedError(
    'CROSS_SHARD_RELATION',
    `Cascades over relations between shards reach one object of ${name} in two ways, one of them within its shard.`,
    { details: { entity: name } },
  )
