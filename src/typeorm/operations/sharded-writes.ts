import type { DeleteResult, ObjectLiteral, UpdateResult } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import type { UnitedWrite } from '../../query/write-query'
import { changesKey, refuseKeyChange } from '../binding/changed-key'
import { hasOwnTypes } from '../binding/describe-entities'
import type { EntityBinding } from '../binding/entity-binding'
import { findPredicate } from '../find/find-predicate'
import { conditionReadsTables, valuesReadTables } from '../find/own-sql'
import { keyValues, withKeyPredicate } from '../find/with-key'
import { mergeDeleteResults, mergeUpdateResults } from '../runners/merge-results'
import { type Criteria, criteriaAtCall, criteriaWhere, narrowCriteria } from '../writes/criteria'
import type { EntityWriter } from '../writes/entity-writer'
import type { ShardWrite } from '../writes/run-parts'
import { writeShards } from '../writes/write-shards'
import { type CriteriaAnnouncement, writeAnnounced } from './announced-write'
import { checkWidth, hintedShard, type OperationContext, routeOperation } from './operation-context'

/** A write by condition: what TypeORM does on one shard with that shard's criteria. */
type CriteriaWrite<T> = (manager: EntityWriter, criteria: unknown) => Promise<T>

interface CriteriaOperation<T> extends CriteriaAnnouncement {
  readonly name: 'update' | 'delete' | 'softDelete' | 'restore'
  readonly work: CriteriaWrite<T>
  readonly merge: (results: readonly T[]) => T
}

/** Runs `update`, `delete`, `softDelete` or `restore` on the shards of its criteria. */
async function writeByCriteria<T>(
  context: OperationContext,
  given: Criteria,
  { name, work, merge, event, values }: CriteriaOperation<T>,
): Promise<T> {
  const { access, binding, hint } = context
  const criteria = await criteriaAtCall(binding, given)
  const { shards, where, predicate } = await routeOperation(
    context,
    { name, writes: true },
    criteriaWhere(binding, criteria),
  )
  if (values) refuseKeyChange(binding, predicate, values)
  const announcement = { event, ...(values && { values }) }
  const routed = hint?.kind === 'key' ? { criteria: where, isPrimitive: false } : criteria
  const [only, another] = shards
  if (only && !another) {
    const write = { shard: only, work: (manager: EntityWriter) => work(manager, routed.criteria) }
    return one(await writeAnnounced(context, [write], { announcement }), merge)
  }
  const narrowed = narrowCriteria(binding, routed, (target) => access.runtime.bindingOf(target))
  const writes = shards.map((shard) => ({
    shard,
    work: (manager: EntityWriter) => work(manager, narrowed.on(shard.index)),
  }))
  return one(
    await writeAnnounced(context, writes, { announcement, united: unitedOf(binding, narrowed.isAlike) }),
    merge,
  )
}

const unitedOf = ({ metadata }: EntityBinding, isAlike: boolean): UnitedWrite => ({
  hasOwnTypes: hasOwnTypes(metadata),
  isAlike,
})

export function update(
  context: OperationContext,
  criteria: Criteria,
  { values, options }: { readonly values: ObjectLiteral; readonly options: object | undefined },
): Promise<UpdateResult> {
  const { target } = context.binding.metadata
  return writeByCriteria(context, criteria, {
    name: 'update',
    work: (manager, own) => manager.update(target, own, values, options),
    merge: mergeUpdateResults,
    event: 'Update',
    values,
  })
}

/**
 * Whether a write by condition is done as one statement over the shards: an update that has to move rows, and SQL of the
 * application that may read tables: what it reads is read once, before any shard is written.
 */
export function isWhole(context: OperationContext, criteria: Criteria, values?: ObjectLiteral): boolean {
  if (conditionReadsTables(criteria.criteria) || valuesReadTables(values)) return true
  return values !== undefined && isMove(context, criteria, values)
}

/** Whether an update has to move rows, of an entity that allows it. */
function isMove({ access, binding, hint }: OperationContext, criteria: Criteria, values: ObjectLiteral): boolean {
  if (binding.entity.onKeyChange !== 'move') return false
  const given = criteriaWhere(binding, criteria)
  const where = hint?.kind === 'key' ? withKeyPredicate(binding, given, keyValues(binding, hint.value)) : given
  return (
    changesKey(
      binding,
      findPredicate(binding, where, (target) => access.runtime.bindingOf(target)),
      values,
    ) !== undefined
  )
}

export function deleteBy(context: OperationContext, criteria: Criteria): Promise<DeleteResult> {
  const { target } = context.binding.metadata
  return writeByCriteria(context, criteria, {
    name: 'delete',
    work: (manager, own) => manager.delete(target, own),
    merge: mergeDeleteResults,
    event: 'Remove',
  })
}

export function softDeleteBy(
  context: OperationContext,
  name: 'softDelete' | 'restore',
  criteria: Criteria,
): Promise<UpdateResult> {
  const { target } = context.binding.metadata
  return writeByCriteria(context, criteria, {
    name,
    work: (manager, own) => manager[name](target, own),
    merge: mergeUpdateResults,
    event: name === 'softDelete' ? 'SoftRemove' : 'Recover',
  })
}

const one = <T>(results: readonly T[], merge: (results: readonly T[]) => T): T =>
  results.length === 1 && results[0] !== undefined ? results[0] : merge(results)

/** A write without any condition, on all shards of the entity (`updateAll`, `deleteAll`, `clear`). */
function writesEverywhere<T>(
  context: OperationContext,
  name: 'updateAll' | 'deleteAll' | 'clear',
  work: (manager: EntityWriter) => Promise<T>,
): readonly ShardWrite<T>[] {
  const { binding, hint } = context
  const shards = hint?.kind === 'shard' ? [hintedShard(binding, hint.shard)] : binding.shards
  checkWidth(context, { name, writes: true }, shards.length)
  return shards.map((shard) => ({ shard, work }))
}

export async function updateAll(
  context: OperationContext,
  values: ObjectLiteral,
  options: object | undefined,
): Promise<UpdateResult> {
  const { binding, hint } = context
  const { target } = binding.metadata
  if (hint?.kind === 'key') return update(context, { criteria: {}, isPrimitive: false }, { values, options })
  refuseKeyChange(binding, { kind: 'unknown' }, values)
  const writes = writesEverywhere(context, 'updateAll', (manager) => manager.updateAll(target, values, options))
  const announcement = { event: 'Update', values } as const
  return one(
    await writeAnnounced(context, writes, { announcement, united: unitedOf(binding, true) }),
    mergeUpdateResults,
  )
}

export async function deleteAll(context: OperationContext): Promise<DeleteResult> {
  const { binding, hint } = context
  if (hint?.kind === 'key') return deleteBy(context, { criteria: {}, isPrimitive: false })
  const writes = writesEverywhere(context, 'deleteAll', (manager) => manager.deleteAll(binding.metadata.target))
  const announcement = { event: 'Remove' } as const
  return one(
    await writeAnnounced(context, writes, { announcement, united: unitedOf(binding, true) }),
    mergeDeleteResults,
  )
}

export async function clear(context: OperationContext, options: { cascade?: boolean } | undefined): Promise<void> {
  const { entity, metadata } = context.binding
  if (context.hint?.kind === 'key') {
    throw new ShardedError(
      'SCATTER_UNSUPPORTED',
      `${entity.name}.clear empties whole shards; withShardKey narrows it to one key.`,
      { details: { entity: entity.name } },
    )
  }
  // Nobody is told of it, as on one database.
  await writeShards(
    context,
    writesEverywhere(context, 'clear', (manager) => manager.clear(metadata.target, options)),
  )
}
