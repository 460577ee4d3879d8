import type { EntityMetadata, ObjectLiteral } from 'typeorm'
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

/** In the order in which a removal goes: what refers to rows before them, and what they refer to after them. */
interface CascadedParts {
  readonly before: readonly CascadedPart[]
  readonly after: readonly CascadedPart[]
}

/**
 * What `remove`, `softRemove` and `recover` reach by cascades over relations to rows elsewhere: of each object that is reached so, the call
 * does the same with what lies together with it. Reference tables come last: rows of shards refer to theirs.
 *
 * @throws ShardedError CROSS_SHARD_RELATION where an object is reached by two calls: TypeORM would do it twice
 */
export function cascadedParts(given: CascadedPart, walk: CascadeWalk): CascadedParts {
  const { mode, runtime, onReach } = walk
  const order: (Reached | undefined)[] = []
  /** By which call an object, and a row, is reached. */
  const calls = new Map<ObjectLiteral | string, object>()
  const isKnown = ({ metadata, object }: Reached): boolean =>
    calls.has(object) || (metadata.hasAllPrimaryKeys(object) && calls.has(rowText(metadata, object)))

  /** Notes what a call reaches by itself, and what waits for a call of its own. */
  const visit = ({ metadata: at, object }: Reached, call: Call): void => {
    if (calls.get(object) === call) return
    const key = at.hasAllPrimaryKeys(object) ? rowText(at, object) : object
    if (calls.has(object) || (calls.has(key) && calls.get(key) !== call)) throw reachedTwice(at)
    calls.set(object, call)
    calls.set(key, call)
    onReach(object, at)
    // A call of an unsharded entity is TypeORM's, which goes on over shards; from a sharded one it follows no relation to elsewhere.
    const isSharded = runtime.bindingOf(at.target) !== undefined
    for (const relation of at.relations) {
      if (!cascadesIn(cascadesOf(relation), mode)) continue
      const { inverseEntityMetadata: metadata } = relation
      const isHere = !isSharded || (!leadsApart(relation) && runtime.bindingOf(metadata.target) !== undefined)
      const waiting = relation.isOwning ? call.referred : call.referring
      for (const one of loadedRelation(relation, object)) {
        if (isHere) visit({ metadata, object: one }, call)
        // TypeORM does nothing with an object that has no row.
        else if (metadata.hasAllPrimaryKeys(one)) waiting.push({ metadata, object: one })
      }
    }
  }
  const place = (roots: readonly Reached[], own: Reached | undefined): void => {
    const call: Call = { referring: [], referred: [] }
    for (const root of roots) visit(root, call)
    for (const one of call.referring) if (!isKnown(one)) place([one], one)
    order.push(own)
    for (const one of call.referred) if (!isKnown(one)) place([one], one)
  }
  const { metadata } = given
  place(
    given.entities.map((object) => ({ metadata, object })),
    undefined,
  )
  const isLast = (one: Reached | undefined): boolean => one !== undefined && runtime.references.has(one.metadata.target)
  const inTurn = [...order.filter((one) => !isLast(one)), ...order.filter(isLast)]
  const middle = inTurn.indexOf(undefined)
  return { before: partsOf(inTurn.slice(0, middle)), after: partsOf(inTurn.slice(middle)) }
}

/** What is written by one call of TypeORM, and what waits for other calls. */
interface Call {
  readonly referring: Reached[]
  readonly referred: Reached[]
}

/** Objects of one entity that follow each other are one part. */
function partsOf(order: readonly (Reached | undefined)[]): readonly CascadedPart[] {
  const parts: { readonly metadata: EntityMetadata; readonly entities: ObjectLiteral[] }[] = []
  for (const one of order) {
    if (!one) continue
    const last = parts.at(-1)
    if (last?.metadata === one.metadata) last.entities.push(one.object)
    else parts.push({ metadata: one.metadata, entities: [one.object] })
  }
  return parts
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
