import { DeleteResult, type EntityManager, type ObjectLiteral, UpdateResult } from 'typeorm'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError } from '../../errors/sharded-error'
import type { StatementWrite } from '../../query/write-query'
import { loadParser } from '../../sql/parser'
import { mayNameOtherTables } from '../../sql/reads-tables'
import { mayChangeSession } from '../../sql/session-text'
import type { Shard } from '../../topology/shard'
import { changesKey, refuseKeyChange } from '../binding/changed-key'
import { hasOwnTypes } from '../binding/describe-entities'
import { findPredicate } from '../find/find-predicate'
import { conditionReadsTables, valuesReadTables } from '../find/own-sql'
import { keyValues, withKeyPredicate } from '../find/with-key'
import { queryOn } from '../runners/shard-access'
import { type Criteria, type CriteriaWrite, criteriaArms, criteriaAtCall, criteriaWhere } from '../writes/criteria'
import type { EntityWriter } from '../writes/entity-writer'
import { executeStatement } from '../writes/execute-statement'
import { uniteAnswers } from '../writes/unite-answers'
import { planWriteOf, writeShards } from '../writes/write-shards'
import { announced, type CriteriaAnnouncement } from './announced-write'
import { type OperationContext, routeOperation } from './operation-context'

interface CriteriaOperation<Result> extends Pick<CriteriaWrite, 'start'>, CriteriaAnnouncement {
  readonly name: 'update' | 'updateAll' | 'delete' | 'deleteAll' | 'softDelete' | 'restore'
  /** What TypeORM makes of the server's answer. */
  readonly result: (answer: QueryResult) => Result
}

/**
 * Runs `update`, `delete` and their like on the shards of their criteria: one statement of TypeORM's on each.
 *
 * @param given undefined for all rows
 * @returns undefined where TypeORM's one statement is to be run over the shards: an update that has to move rows, and SQL of the
 *   application that may read tables. What that reads is read once, before any shard is written
 */
function writeByCriteria<Result extends UpdateResult | DeleteResult>(
  context: OperationContext,
  given: Criteria | undefined,
  operation: CriteriaOperation<Result>,
): Promise<Result> | undefined {
  const { values } = operation
  if (conditionReadsTables(given?.criteria) || valuesReadTables(values)) return undefined
  if (values !== undefined && isMove(context, given, values)) return undefined
  return writeOnShards(context, given, operation)
}

async function writeOnShards<Result extends UpdateResult | DeleteResult>(
  context: OperationContext,
  given: Criteria | undefined,
  operation: CriteriaOperation<Result>,
): Promise<Result> {
  const { binding, hint } = context
  const { name, event, values } = operation
  const criteria = given && (await criteriaAtCall(binding, given))
  const { shards, where, predicate } = await routeOperation(
    context,
    { name, writes: true },
    criteria && criteriaWhere(binding, criteria),
  )
  if (values) refuseKeyChange(binding, predicate, values)
  const routed = hint?.kind === 'key' ? { criteria: where, isPrimitive: false } : criteria
  return announced(context, { event, ...(values && { values }) }, () => {
    // A subscriber may have changed them.
    if (values) refuseKeyChange(binding, predicate, values)
    return sendWrite(context, { criteria: routed, ...operation, shards })
  })
}

/** Sends the statements of a write. */
async function sendWrite<Result extends UpdateResult | DeleteResult>(
  context: OperationContext,
  { shards, result, ...write }: CriteriaOperation<Result> & CriteriaWrite & { readonly shards: readonly Shard[] },
): Promise<Result> {
  const { access, binding } = context
  const { runtime } = access
  const bindingOf = (target: unknown) => runtime.bindingOf(target)
  const builderOn = (shard: Shard) => runtime.managerOf(shard).createQueryBuilder()
  // What may be united is proven of its syntax tree.
  if (shards.length > 1) await loadParser()
  const arms = criteriaArms(binding, { shards, write, bindingOf, builderOn })
  // By query runners of the shards: words of the application may have a meaning of their own there.
  if (arms.some(({ text }) => mayNameOtherTables(text) || mayChangeSession(text))) {
    const works = arms.map((arm) => ({ shard: arm.shard, work: (manager: EntityManager) => queryOn(manager, arm) }))
    return result(uniteAnswers({ kind: 'update' }, await writeShards(context, works)))
  }
  const query: StatementWrite = {
    kind: 'statement',
    arms,
    united: { hasOwnTypes: hasOwnTypes(binding.metadata) },
    alsoWritten: [],
    order: undefined,
    answer: { kind: 'update' },
  }
  return result(await executeStatement({ plan: await planWriteOf(access, query), order: undefined }, context))
}

interface UpdateWith {
  readonly values: ObjectLiteral
  readonly options: { readonly returning?: string | string[] } | undefined
}

/** @param criteria undefined for all rows @returns see `writeByCriteria` */
export function update(
  context: OperationContext,
  criteria: Criteria | undefined,
  { values, options }: UpdateWith,
): Promise<UpdateResult> | undefined {
  const { target } = context.binding.metadata
  return writeByCriteria(context, criteria, {
    name: criteria ? 'update' : 'updateAll',
    start: (builder) => {
      const started = builder.update(target).set(values)
      return options?.returning === undefined ? started : started.returning(options.returning)
    },
    result: (answer) => UpdateResult.from(answer),
    event: 'Update',
    values,
  })
}

/** Whether an update has to move rows, of an entity that allows it. */
function isMove(
  { access, binding, hint }: OperationContext,
  criteria: Criteria | undefined,
  values: ObjectLiteral,
): boolean {
  if (binding.entity.onKeyChange !== 'move') return false
  const given = criteria ? criteriaWhere(binding, criteria) : {}
  const where = hint?.kind === 'key' ? withKeyPredicate(binding, given, keyValues(binding, hint.value)) : given
  return (
    changesKey(
      binding,
      findPredicate(binding, where, (target) => access.runtime.bindingOf(target)),
      values,
    ) !== undefined
  )
}

/** @param criteria undefined for all rows @returns see `writeByCriteria` */
export function deleteBy(context: OperationContext, criteria: Criteria | undefined): Promise<DeleteResult> | undefined {
  const { target } = context.binding.metadata
  return writeByCriteria(context, criteria, {
    name: criteria ? 'delete' : 'deleteAll',
    start: (builder) => builder.delete().from(target),
    result: (answer) => DeleteResult.from(answer),
    event: 'Remove',
  })
}

/** @returns see `writeByCriteria` */
export function softDeleteBy(
  context: OperationContext,
  name: 'softDelete' | 'restore',
  criteria: Criteria,
): Promise<UpdateResult> | undefined {
  const { target } = context.binding.metadata
  return writeByCriteria(context, criteria, {
    name,
    start: (builder) => builder[name]().from(target),
    result: (answer) => UpdateResult.from(answer),
    event: name === 'softDelete' ? 'SoftRemove' : 'Recover',
  })
}

export async function clear(context: OperationContext, options: { cascade?: boolean } | undefined): Promise<void> {
  const { binding, hint } = context
  const { entity, metadata } = binding
  if (hint?.kind === 'key') {
    throw new ShardedError(
      'SCATTER_UNSUPPORTED',
      `${entity.name}.clear empties whole shards; withShardKey narrows it to one key.`,
      { details: { entity: entity.name } },
    )
  }
  const { shards } = await routeOperation(context, { name: 'clear', writes: true }, undefined)
  const work = (manager: EntityWriter) => manager.clear(metadata.target, options)
  // Nobody is told of it, as on one database.
  await writeShards(
    context,
    shards.map((shard) => ({ shard, work })),
  )
}
