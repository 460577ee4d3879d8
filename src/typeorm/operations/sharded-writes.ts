import type { DeleteResult, EntityManager, InsertResult, ObjectLiteral, UpdateResult } from 'typeorm'
import { InsertResult as InsertResultClass } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { PlainObjectToDatabaseEntityTransformer } from 'typeorm/query-builder/transformer/PlainObjectToDatabaseEntityTransformer'
import type { UpsertOptions } from 'typeorm/repository/UpsertOptions'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import type { UnitedWrite } from '../../query/write-query'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { type EntityBinding, keyOf, requireKey, shardOfKey } from '../binding/entity-binding'
import { checkIdSlot } from '../binding/entity-ids'
import { GivenIds, whenReserved } from '../binding/given-ids'
import { hasOwnTypes } from '../binding/own-types'
import { changesKey, refuseKeyChange } from '../binding/pinned-key'
import { findPredicate } from '../find/find-predicate'
import { conditionReadsTables, valuesReadTables } from '../find/own-sql'
import { fillKey, keyValues, withKeyPredicate } from '../find/with-key'
import { locateRow } from '../reads/locate-rows'
import { mergeDeleteResults, mergeInsertResults, mergeUpdateResults } from '../runners/merge-results'
import { type Criteria, criteriaAtCall, criteriaWhere, narrowCriteria } from '../writes/criteria'
import { generateKey } from '../writes/entity-graph'
import type { ShardWrite } from '../writes/run-parts'
import { upsertOrder } from '../writes/save-order'
import { writeShards } from '../writes/write-shards'
import { type AnnouncedOptions, type Announcement, announcedWrite, type CriteriaAnnouncement } from './announced-write'
import { checkHintedPlace, checkWidth, hintedShard, type OperationContext, routeOperation } from './operation-context'

/** A write by condition: what TypeORM does on one shard with that shard's criteria. */
type CriteriaWrite<T> = (manager: EntityManager, criteria: unknown) => Promise<T>

interface CriteriaOperation<T> extends CriteriaAnnouncement {
  readonly work: CriteriaWrite<T>
}

/** Runs `update`, `delete`, `softDelete` or `restore` on the shards of its criteria. */
async function writeByCriteria<T>(
  context: OperationContext,
  name: string,
  given: Criteria,
  { work, event, values }: CriteriaOperation<T>,
): Promise<readonly T[]> {
  const { access, binding, hint } = context
  const criteria = await criteriaAtCall(binding, given)
  const { shards, where, predicate } = await routeOperation(
    context,
    { name, writes: true },
    criteriaWhere(binding, criteria),
  )
  if (values) refuseKeyChange(binding, predicate, values)
  const routed = hint?.kind === 'key' ? { criteria: where, isPrimitive: false } : criteria
  const [only, another] = shards
  if (only && !another) {
    const write = { shard: only, work: (manager: EntityManager) => work(manager, routed.criteria) }
    return writeAnnounced(context, { event, ...(values && { values }) }, [write])
  }
  const narrowed = narrowCriteria(binding, routed, (target) => access.runtime.bindingOf(target))
  return writeAnnounced(
    context,
    { event, ...(values && { values }) },
    shards.map((shard) => ({ shard, work: (manager: EntityManager) => work(manager, narrowed.on(shard.index)) })),
    { united: unitedOf(binding, narrowed.isAlike) },
  )
}

const unitedOf = ({ metadata }: EntityBinding, isAlike: boolean): UnitedWrite => ({
  hasOwnTypes: hasOwnTypes(metadata),
  isAlike,
})

export async function update(
  context: OperationContext,
  criteria: Criteria,
  values: ObjectLiteral,
  options: object | undefined,
): Promise<UpdateResult> {
  const { target } = context.binding.metadata
  const results = await writeByCriteria(context, 'update', criteria, {
    work: (manager, own) => manager.update(target as never, own, values as never, options),
    event: 'Update',
    values,
  })
  return one(results, mergeUpdateResults)
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

export async function deleteBy(context: OperationContext, criteria: Criteria): Promise<DeleteResult> {
  const { target } = context.binding.metadata
  return one(
    await writeByCriteria(context, 'delete', criteria, {
      work: (manager, own) => manager.delete(target as never, own),
      event: 'Remove',
    }),
    mergeDeleteResults,
  )
}

export async function softDeleteBy(
  context: OperationContext,
  name: 'softDelete' | 'restore',
  criteria: Criteria,
): Promise<UpdateResult> {
  const { target } = context.binding.metadata
  return one(
    await writeByCriteria(context, name, criteria, {
      work: (manager, own) => manager[name](target as never, own),
      event: name === 'softDelete' ? 'SoftRemove' : 'Recover',
    }),
    mergeUpdateResults,
  )
}

const one = <T>(results: readonly T[], merge: (results: readonly T[]) => T): T =>
  results.length === 1 && results[0] !== undefined ? results[0] : merge(results)

/** Runs a write without any condition on all shards of the entity (`updateAll`, `deleteAll`, `clear`). */
async function writeEverywhere<T>(
  context: OperationContext,
  name: string,
  work: (manager: EntityManager) => Promise<T>,
  announcement?: CriteriaAnnouncement,
): Promise<readonly T[]> {
  const { binding, hint } = context
  const shards = hint?.kind === 'shard' ? [hintedShard(binding, hint.shard)] : binding.shards
  checkWidth(context, { name, writes: true }, shards.length)
  const writes = shards.map((shard) => ({ shard, work }))
  return announcement
    ? writeAnnounced(context, announcement, writes, { united: unitedOf(binding, true) })
    : writeShards(context, writes)
}

/**
 * On one shard TypeORM tells of the write itself, but where it is in a transaction that one database would not have, and where
 * it has to be known whether what failed is the write or who heard of it.
 */
function writeAnnounced<T>(
  context: OperationContext,
  announcement: Announcement,
  writes: readonly ShardWrite<T>[],
  options: AnnouncedOptions = {},
): Promise<readonly T[]> {
  const { access, binding } = context
  const isAsked = options.onWritten !== undefined && isHeard(context)
  return writes.length > 1 || isAsked || access.runtime.lookups.maintains(binding.entity.group)
    ? announcedWrite(context, writes, { ...options, announcement })
    : writeShards(context, writes, options)
}

/** Somebody hears of inserts. */
const isHeard = ({ access, binding }: OperationContext): boolean =>
  binding.metadata.afterInsertListeners.length > 0 ||
  binding.shards.some((shard) => access.runtime.handle(shard).dataSource.subscribers.length > 0)

export async function updateAll(
  context: OperationContext,
  values: ObjectLiteral,
  options: object | undefined,
): Promise<UpdateResult> {
  const { binding, hint } = context
  const { target } = binding.metadata
  if (hint?.kind === 'key') return update(context, { criteria: {}, isPrimitive: false }, values, options)
  refuseKeyChange(binding, { kind: 'unknown' }, values)
  return one(
    await writeEverywhere(
      context,
      'updateAll',
      (manager) => manager.updateAll(target as never, values as never, options),
      { event: 'Update', values },
    ),
    mergeUpdateResults,
  )
}

export async function deleteAll(context: OperationContext): Promise<DeleteResult> {
  const { target } = context.binding.metadata
  if (context.hint?.kind === 'key') return deleteBy(context, { criteria: {}, isPrimitive: false })
  return one(
    await writeEverywhere(context, 'deleteAll', (manager) => manager.deleteAll(target as never), { event: 'Remove' }),
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
  await writeEverywhere(context, 'clear', (manager) => manager.clear(metadata.target as never, options))
}

export async function insert(context: OperationContext, given: ObjectLiteral | ObjectLiteral[]): Promise<InsertResult> {
  const { target } = context.binding.metadata
  return insertRows(context, {
    name: 'insert',
    given,
    work: (manager, rows) => manager.insert(target as never, rows as never),
    ...(valuesReadTables(given) && {
      workOnAll: (manager) =>
        manager
          .createQueryBuilder()
          .insert()
          .into(target)
          .values(given as never)
          .execute(),
      isAlwaysOnAll: true,
    }),
  })
}

export async function upsert(
  context: OperationContext,
  given: ObjectLiteral | ObjectLiteral[],
  options: readonly string[] | UpsertOptions<ObjectLiteral>,
): Promise<InsertResult> {
  const { binding } = context
  const conflictPaths = isPathList(options) ? options : options.conflictPaths
  const paths = isPathList(conflictPaths) ? conflictPaths : Object.keys(conflictPaths)
  const conflictColumns = binding.metadata.mapPropertyPathsToColumns([...paths])
  const isByKey = binding.keyColumns.every((column) => conflictColumns.includes(column))
  const { primaryColumns } = binding.metadata
  const isByPrimaryKey =
    conflictColumns.length === primaryColumns.length &&
    primaryColumns.every((column) => conflictColumns.includes(column))
  if (!isByKey && !isByPrimaryKey) {
    throw new ShardedError(
      'UPSERT_WITHOUT_SHARD_KEY',
      `${binding.entity.name}.upsert on conflict of (${paths.join(', ')}) leaves out ${keyText(binding.entity)}.`,
      {
        details: { entity: binding.entity.name, conflictPaths: paths },
      },
    )
  }
  // Looked at before anything is sent: a row that was written has its generated columns filled in.
  const overwritten = overwrittenColumns(binding, conflictColumns, Array.isArray(given) ? given : [given])
  const makesIds = binding.id !== undefined
  const part = (manager: EntityManager, rows: ObjectLiteral | ObjectLiteral[]) =>
    upsertPart(manager, binding, { rows, overwritten, conflictColumns, options })
  // Rows that are left out shift what TypeORM takes for whose: over several shards that is one statement, as it is on one.
  const isComputed = valuesReadTables(given)
  const leavesOut = !isPathList(options) && options.skipUpdateIfNoValuesChanged === true
  return insertRows(context, {
    name: 'upsert',
    given,
    work: (manager, rows) =>
      rows === given && !makesIds
        ? manager.upsert(binding.metadata.target as never, rows as never, options as never)
        : part(manager, rows),
    // A row with the primary key may have another shard key: the statement looks for it on all shards.
    ...((leavesOut || isComputed || !isByKey) && { workOnAll: (manager) => part(manager, given) }),
    isAlwaysOnAll: isComputed || !isByKey,
  })
}

/** TypeORM overwrites the columns that any of the given rows names. */
function overwrittenColumns(
  { metadata }: EntityBinding,
  conflictColumns: readonly ColumnMetadata[],
  rows: readonly ObjectLiteral[],
): readonly ColumnMetadata[] {
  return metadata.columns.filter(
    (column) =>
      !conflictColumns.includes(column) &&
      column.isUpdate !== false &&
      !column.generatedType &&
      rows.some((row) => column.getEntityValue(row) !== undefined),
  )
}

/** One shard's part of an upsert: it overwrites the columns that any row of the whole names, and not only of its own. */
function upsertPart(
  manager: EntityManager,
  { metadata }: EntityBinding,
  { rows, overwritten, conflictColumns, options }: UpsertPart,
): Promise<InsertResult> {
  const settings: Partial<UpsertOptions<ObjectLiteral>> = isPathList(options) ? {} : options
  const names = (columns: readonly ColumnMetadata[]) => columns.map((column) => column.databaseName)
  const builder = manager
    .createQueryBuilder()
    .insert()
    .into(metadata.target)
    .values(rows)
    .orUpdate(names([...conflictColumns, ...overwritten]), names(conflictColumns), {
      skipUpdateIfNoValuesChanged: settings.skipUpdateIfNoValuesChanged ?? false,
      ...(settings.indexPredicate !== undefined && { indexPredicate: settings.indexPredicate }),
      upsertType: settings.upsertType ?? 'on-conflict-do-update',
    })
  if (settings.returning !== undefined) builder.returning(settings.returning as never)
  return builder.execute()
}

interface UpsertPart {
  readonly rows: ObjectLiteral | ObjectLiteral[]
  readonly overwritten: readonly ColumnMetadata[]
  readonly conflictColumns: readonly ColumnMetadata[]
  readonly options: readonly string[] | Partial<UpsertOptions<ObjectLiteral>>
}

const isPathList = (paths: unknown): paths is readonly string[] => Array.isArray(paths)

interface Insertion {
  readonly name: string
  readonly given: ObjectLiteral | ObjectLiteral[]
  readonly work: (manager: EntityManager, rows: ObjectLiteral | ObjectLiteral[]) => Promise<InsertResult>
  /** In place of `work` on each of several shards, one statement over all of them. */
  readonly workOnAll?: (manager: EntityManager) => Promise<InsertResult>
  /** Where all rows go to one shard as well: SQL of the application in it, or a look for primary keys, may read others. */
  readonly isAlwaysOnAll?: boolean
}

async function insertRows(context: OperationContext, insertion: Insertion): Promise<InsertResult> {
  const { name, given } = insertion
  const rows = Array.isArray(given) ? given : [given]
  const ids = new GivenIds()
  const order = name === 'upsert' ? upsertOrder(context.binding, rows) : undefined
  try {
    const places = await placeRows(context, { name, rows, ids })
    // Which rows an upsert has left out, only its result tells.
    const onWritten = ids.isEmpty || name === 'upsert' ? undefined : () => ids.keep()
    const result = await insertPlaced(context, places, insertion, { order, onWritten })
    if (!ids.isEmpty) settleInsert(context.binding, ids, { name, rows, result })
    return result
  } catch (error) {
    ids.takeBack()
    throw error
  }
}

async function insertPlaced(
  context: OperationContext,
  places: ReadonlyMap<Shard, readonly number[]>,
  { given, work, workOnAll, isAlwaysOnAll }: Insertion,
  options: AnnouncedOptions,
): Promise<InsertResult> {
  const { access, binding, openRunner } = context
  const rows = Array.isArray(given) ? given : [given]
  const announcement = { event: 'Insert', rows } as const
  const [only = binding.shards[0], another] = places.keys()
  if (!another && !isAlwaysOnAll) {
    const whole = only ? [{ shard: only, work: (manager: EntityManager) => work(manager, given) }] : []
    const [result] = await writeAnnounced(context, announcement, whole, options)
    return result ?? new InsertResultClass()
  }
  if (workOnAll) {
    const runner = access.transaction ?? openRunner()
    try {
      return await workOnAll(runner.manager)
    } finally {
      if (!access.transaction) await runner.release()
    }
  }
  const parts = [...places]
  const results = await writeAnnounced(
    context,
    announcement,
    parts.map(([shard, list]) => ({
      shard,
      work: (manager: EntityManager) =>
        work(
          manager,
          list.flatMap((place) => rows[place] ?? []),
        ),
    })),
    options,
  )
  return mergeInsertResults(
    parts.flatMap(([, list], index) => (results[index] ? [{ places: list, result: results[index] }] : [])),
  )
}

interface RowsToPlace {
  readonly name: string
  readonly rows: readonly ObjectLiteral[]
  readonly ids: GivenIds
}

/** The places of the rows by their shards; each row has its key and its id then. */
async function placeRows(
  context: OperationContext,
  { name, rows, ids }: RowsToPlace,
): Promise<ReadonlyMap<Shard, readonly number[]>> {
  const { binding, hint } = context
  const keyOfRow = (row: ObjectLiteral): readonly string[] => {
    generateKey(binding, row, ids)
    if (hint?.kind === 'key') fillKey(binding, row, keyValues(binding, hint.value))
    return requireKey(binding, row, name)
  }
  const keys = await whenReserved(() => rows.map(keyOfRow))
  const places = new Map<Shard, number[]>()
  for (const [place, row] of rows.entries()) {
    const key = keys[place] ?? []
    const shard = shardOfKey(binding, key)
    checkHintedPlace(context, shard)
    checkIdSlot(binding, row, key)
    await ids.give(binding, row, key)
    pushTo(places, shard, place)
  }
  return places
}

/** An upsert may leave rows out, or give them the ids that they have: what TypeORM then says of them is said here too. */
function settleInsert(
  { metadata }: EntityBinding,
  ids: GivenIds,
  {
    name,
    rows,
    result,
  }: { readonly name: string; readonly rows: readonly ObjectLiteral[]; readonly result: InsertResult },
): void {
  if (name === 'upsert') {
    ids.keepReturned(Array.isArray(result.raw) ? result.raw : [])
    for (const [place, row] of rows.entries()) result.identifiers[place] = metadata.getEntityIdMap(row) as ObjectLiteral
  }
  ids.settle()
}

/** `preload`: the row of the object's primary key, with the object's values over it; undefined where there is none. */
export async function preload(context: OperationContext, like: ObjectLiteral): Promise<ObjectLiteral | undefined> {
  const { access, binding } = context
  const { metadata } = binding
  const [first] = binding.shards
  // Without a primary key TypeORM refuses, before it asks any database.
  if (first && !metadata.hasAllPrimaryKeys(like))
    return access.onShard(first, (manager) => manager.preload(metadata.target as never, like as never))
  const load = (shard: Shard) =>
    access.onShard(shard, async (manager) => {
      const entity: ObjectLiteral | undefined = await new PlainObjectToDatabaseEntityTransformer(manager).transform(
        like,
        metadata,
      )
      if (entity) access.runtime.entityShards.remember(binding, entity, shard)
      return entity && manager.merge(metadata.target as never, entity as never, like as never)
    })
  const key = keyOf(binding, like)
  const found = key && (await load(shardOfKey(binding, key)))
  if (found || (key && (binding.entity.primaryKeyHoldsShardKey || !binding.entity.primaryKeyCheck))) return found
  if (!key) checkWidth(context, { name: 'preload', writes: false }, binding.shards.length)
  const located = await locateRow(access, binding, like)
  return located && load(located.shard)
}
