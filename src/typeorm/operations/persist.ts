import type { ObjectLiteral, RemoveOptions, SaveOptions } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import type { Shard } from '../../topology/shard'
import { type EntityBinding, keyOf } from '../binding/entity-binding'
import { GivenIds } from '../binding/entity-ids'
import { shardOfKey } from '../binding/entity-shards'
import { fillKey, keyValues } from '../find/with-key'
import { during, type LoadOverride, type RowUpdate } from '../runners/guarded-broadcaster'
import { inSavepoint, inTransaction } from '../runners/in-transaction'
import type { ShardTransaction } from '../runners/shard-transaction'
import { type CascadedReference, loadedAsSaved } from '../writes/cascaded-references'
import { begins, deferred } from '../writes/deferred-transaction'
import { mayEmptyKeys, type PersistMode, saveOrder } from '../writes/entity-graph'
import type { EntityWriter } from '../writes/entity-writer'
import { explainMissing } from '../writes/far-reference'
import { type PlacedEntity, placeEntities } from '../writes/place-entities'
import { carryChanged, carryTied, listsBefore, loadedWithoutId } from '../writes/save-moved'
import { writeShards } from '../writes/write-shards'
import { checkHintedPlace, checkWidth, type OperationContext } from './operation-context'
import { type PersistWork, persistApart } from './persist-apart'

/** Runs `save`, `remove`, `softRemove` or `recover` on the shards of the entities; the entities themselves are filled. */
export async function persist(context: OperationContext, { mode, entities, options }: PersistWork): Promise<void> {
  const { binding, hint } = context
  if (hint?.kind === 'key') for (const entity of entities) fillKey(binding, entity, keyValues(binding, hint.value))
  const given = new GivenIds()
  try {
    await persistApart(context, { mode, entities, options }, (within, work) => persistPlaced(within, work, given))
    given.settle()
  } catch (error) {
    given.takeBack()
    throw error
  }
}

async function persistPlaced(
  context: OperationContext,
  { mode, entities, options, references = [] }: PersistWork,
  given: GivenIds,
): Promise<void> {
  const { access, binding } = context
  const placed = await placeEntities(context, entities, {
    mode,
    given,
    bindingOf: (target) => access.runtime.bindingOf(target),
    isReference: (target) => access.runtime.references.has(target),
    onScatter: () => checkWidth(context, { name: mode, writes: true }, binding.shards.length),
    listeners: options?.listeners !== false,
  })
  const groups = new Map<Shard, PlacedEntity[]>()
  for (const one of placed) {
    checkHintedPlace(context, one.shard)
    pushTo(groups, one.shard, one)
  }
  try {
    await writePlaced(context, mode, { placed, groups, options, given, references })
  } catch (error) {
    throw await explainMissing(access, placed, error)
  }
  for (const [shard, here] of groups) {
    for (const { entity } of here) {
      if (mode === 'remove') access.runtime.entityShards.forget(entity)
      else if (mode === 'save' || isAtHome(binding, entity, shard))
        access.runtime.entityShards.remember(binding, entity, shard)
    }
  }
}

interface PlacedWrite {
  readonly placed: readonly PlacedEntity[]
  readonly groups: ReadonlyMap<Shard, readonly PlacedEntity[]>
  readonly options: (SaveOptions & RemoveOptions) | undefined
  readonly given: GivenIds
  readonly references: readonly CascadedReference[]
}

async function writePlaced(
  context: OperationContext,
  mode: PersistMode,
  { placed, groups, options, given, references }: PlacedWrite,
): Promise<void> {
  const { access, binding } = context
  const { target } = binding.metadata
  const isUntold = options?.listeners === false
  const isOneShard = groups.size < 2 && !access.transaction
  // Of an operation over several shards the data is the transaction's, and not each shard's to set and take away.
  const { data, ...shared } = options ?? {}
  const own = isOneShard ? options : shared
  const saved = loadedAsSaved(references)
  const writesOf = ({ shown = [], before }: Prepared = {}) =>
    [...groups].map(([shard, here]) => ({
      shard,
      untold: isUntold ? here.flatMap(({ graph }) => graph) : [],
      work: (manager: EntityWriter): Promise<unknown> =>
        during(
          manager.queryRunner,
          { persists: true, beforeUpdate: before, shown: shownTo(here, given, [...saved, ...shown]) },
          () =>
            manager[mode](
              target,
              here.map(({ entity }) => entity),
              own,
            ),
        ),
    }))
  const writes = writesOf()
  const moved = placed.flatMap((one) => one.own)
  const ties = placed.flatMap((one) => one.ties)
  const order = saveOrder(placed.map(({ graph }) => graph))
  const together = { order, entities: () => inTurn(placed) }
  const withData = (transaction: ShardTransaction, work: () => Promise<unknown>) =>
    isOneShard ? work() : carrying(transaction, data, work)
  if (moved.length + ties.length > 0) {
    await inSavepoint(access, context.openRunner, async (inner, transaction) => {
      const shards = [...[...moved, ...ties].map(({ from }) => from), ...groups.keys()]
      await transaction.openNodes([...new Set(shards.map(({ node }) => node))].sort())
      const shown = await carryChanged(inner, transaction, moved)
      const moving = writesOf({ shown, before: carryTied(inner, transaction, ties) })
      await withData(transaction, () => writeShards({ ...context, access: inner }, moving, together))
    })
  } else if (access.transaction) {
    // What is refused only when other statements of it are sent is undone as a whole.
    const run = placed.some(({ graph }) => mayEmptyKeys(graph)) ? inSavepoint : inTransaction
    await run(access, context.openRunner, (inner, transaction) =>
      withData(transaction, () => writeShards({ ...context, access: inner }, writes, together)),
    )
  } else if (writes.length > 1 || access.runtime.lookups.maintains(binding.entity.group)) {
    // One database needs no transaction for what is one statement there: its rows are written all or not at all.
    await inTransaction(access, deferred(context.openRunner), (inner, transaction) => {
      const begun = options?.transaction === false ? writes : writes.map((write) => begins(transaction, write))
      return withData(transaction, () => writeShards({ ...context, access: inner }, begun, together))
    })
  } else {
    await writeShards(context, writes)
  }
}

/** False of an object with another shard key than its row's: it does not stand for that row when it is saved. */
function isAtHome(binding: EntityBinding, entity: ObjectLiteral, shard: Shard): boolean {
  const key = keyOf(binding, entity)
  return !key || shardOfKey(binding, key).name === shard.name
}

/** What a save over moved rows does besides: how it is shown rows, and what its updates wait for. */
interface Prepared {
  readonly shown?: readonly LoadOverride[]
  readonly before?: (update: RowUpdate) => Promise<void>
}

/** Rows of the shard where these are placed that TypeORM is not to see as they are. */
const shownTo = (
  placed: readonly PlacedEntity[],
  given: GivenIds,
  shown: readonly LoadOverride[] = [],
): readonly LoadOverride[] => [
  ...shown,
  ...placed.flatMap(({ graph, own }) => [...listsBefore(graph, own), ...loadedWithoutId(graph, given)]),
]

/** As one database tells of them: what was given, and then what is reached from each. */
function inTurn(placed: readonly PlacedEntity[]): readonly ObjectLiteral[] {
  const given = placed.map(({ entity }) => entity)
  return [...new Set([...given, ...placed.flatMap(({ graph }) => graph.map(({ entity }) => entity))])]
}

/** Runs work of a transaction with the data of `save`, which subscribers find at their query runner. */
async function carrying<T>(
  transaction: ShardTransaction,
  data: object | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const before = transaction.data
  if (data) transaction.data = data
  try {
    return await work()
  } finally {
    transaction.data = before
  }
}
