import { InsertResult, type ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { UpsertOptions } from 'typeorm/repository/UpsertOptions'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { type EntityBinding, requireKey } from '../binding/entity-binding'
import { checkIdSlot, GivenIds, whenReserved } from '../binding/entity-ids'
import { shardOfKey } from '../binding/entity-shards'
import { valuesReadTables } from '../find/own-sql'
import { fillKey, keyValues } from '../find/with-key'
import { mergeInsertResults } from '../runners/merge-insert-results'
import { releasedAfter } from '../runners/shard-transaction'
import { generateKey, upsertOrder } from '../writes/entity-graph'
import type { EntityWriter } from '../writes/entity-writer'
import { inheritKeys } from '../writes/inherited-keys'
import { type AnnouncedInsert, insertAnnounced } from './announced-write'
import { checkHintedPlace, checkWidth, type OperationContext } from './operation-context'

export async function insert(context: OperationContext, given: ObjectLiteral | ObjectLiteral[]): Promise<InsertResult> {
  const { target } = context.binding.metadata
  return insertRows(context, {
    name: 'insert',
    given,
    work: (manager, rows) => manager.insert(target, rows),
    ...(valuesReadTables(given) && {
      workOnAll: (manager) =>
        manager
          .createQueryBuilder()
          .insert()
          .into(target)
          // Rows of an entity that is known at run time only.
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
  const part = (manager: EntityWriter, rows: ObjectLiteral | ObjectLiteral[]) =>
    upsertPart(manager, binding, { rows, overwritten, conflictColumns, options })
  // Rows that are left out shift what TypeORM takes for whose: over several shards that is one statement, as it is on one.
  const isComputed = valuesReadTables(given)
  const leavesOut = !isPathList(options) && options.skipUpdateIfNoValuesChanged === true
  return insertRows(context, {
    name: 'upsert',
    given,
    work: (manager, rows) =>
      rows === given && !makesIds ? manager.upsert(binding.metadata.target, rows, options) : part(manager, rows),
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
  manager: EntityWriter,
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
  // The option and the method are typed by other names for the same.
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
  readonly work: (manager: EntityWriter, rows: ObjectLiteral | ObjectLiteral[]) => Promise<InsertResult>
  /** In place of `work` on each of several shards, one statement over all of them. */
  readonly workOnAll?: (manager: EntityWriter) => Promise<InsertResult>
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
    const result = await insertPlaced(context, places, { ...insertion, order, onWritten })
    // An upsert may leave rows out, or give them the ids that they have: what TypeORM then says of them is said here too.
    if (name === 'upsert' && !ids.isEmpty) {
      ids.keepReturned(Array.isArray(result.raw) ? result.raw : [])
      for (const [place, row] of rows.entries()) {
        // As in TypeORM's own list, it is undefined for a row that was left out, which the type does not say.
        result.identifiers[place] = context.binding.metadata.getEntityIdMap(row) as ObjectLiteral
      }
    }
    ids.settle()
    return result
  } catch (error) {
    ids.takeBack()
    throw error
  }
}

async function insertPlaced(
  context: OperationContext,
  places: ReadonlyMap<Shard, readonly number[]>,
  { given, work, workOnAll, isAlwaysOnAll, order, onWritten }: Insertion & Omit<AnnouncedInsert, 'rows'>,
): Promise<InsertResult> {
  const { access, binding, openRunner } = context
  const rows = Array.isArray(given) ? given : [given]
  const options = { rows, order, onWritten }
  const [only = binding.shards[0], another] = places.keys()
  if (!another && !isAlwaysOnAll) {
    const whole = only ? [{ shard: only, work: (manager: EntityWriter) => work(manager, given) }] : []
    const [result] = await insertAnnounced(context, whole, options)
    return result ?? new InsertResult()
  }
  if (workOnAll) {
    if (access.transaction) return workOnAll(access.transaction.manager)
    return releasedAfter(openRunner(), ({ manager }) => workOnAll(manager))
  }
  const parts = [...places]
  const results = await insertAnnounced(
    context,
    parts.map(([shard, list]) => ({
      shard,
      work: (manager: EntityWriter) =>
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
  const generate = (row: ObjectLiteral): void => {
    generateKey(binding, row, ids)
    if (hint?.kind === 'key') fillKey(binding, row, keyValues(binding, hint.value))
  }
  await whenReserved(() => rows.forEach(generate))
  await inheritKeys(
    { source: context.access, onScatter: ({ shards }) => checkWidth(context, { name, writes: false }, shards.length) },
    { binding, rows, given: ids },
  )
  const keys = rows.map((row) => requireKey(binding, row, name))
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
