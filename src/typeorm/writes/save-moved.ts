import type { EntityManager, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { canonicalValue } from '../binding/entity-binding'
import type { GivenIds } from '../binding/entity-ids'
import { loadedRelation, shardOfKey } from '../binding/entity-shards'
import { primaryKeyText, rowText } from '../binding/primary-key-text'
import { locateRow } from '../reads/locate-rows'
import type { LoadOverride, RowUpdate } from '../runners/guarded-broadcaster'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { carryRow, maxRounds, type RowMove } from './carry-row'
import type { GraphNode } from './entity-graph'

/**
 * Moves the rows of entities that are about to be saved with another shard key. A row that is gone is left to TypeORM,
 * which inserts it; one that somebody else has moved is taken from where it is now.
 *
 * @returns how TypeORM is to be shown the rows: it loads them to compare, and to it the save changes what the moves set
 * @throws ShardedError ROW_MOVED where it moves again and again, and what a move throws
 */
export async function carryChanged(
  access: ShardAccess,
  transaction: ShardTransaction,
  moves: readonly RowMove[],
): Promise<readonly LoadOverride[]> {
  const shown: LoadOverride[] = []
  for (const move of moves) {
    if (!move.binding.metadata.hasAllPrimaryKeys(move.entity)) continue
    keepOrigin(access, transaction, move)
    const old = await follow({ access, transaction }, move)
    if (old) shown.push(shownAs(move, old))
  }
  return shown
}

/**
 * Moves tied rows, each when TypeORM is about to update it: by then the row's new owner is inserted, and TypeORM has
 * compared the lists of all owners with the rows as they were. The move sets what the UPDATE sets of keys and references.
 */
export function carryTied(
  access: ShardAccess,
  transaction: ShardTransaction,
  ties: readonly RowMove[],
): (update: RowUpdate) => Promise<void> {
  const waiting = new Map(ties.map((tie) => [rowText(tie.binding.metadata, tie.entity), tie]))
  return async ({ metadata, criteria, values }) => {
    if (waiting.size === 0 || typeof criteria !== 'object' || criteria === null) return
    const text = rowText(metadata, criteria)
    const tie = waiting.get(text)
    if (!tie) return
    waiting.delete(text)
    keepOrigin(access, transaction, tie)
    const columns = [...tie.sets.keys()]
    const sets = new Map(columns.map((column): [typeof column, unknown] => [column, column.getEntityValue(values)]))
    await follow({ access, transaction }, { ...tie, sets })
  }
}

/** A rollback takes the row back, and the entity then stands for it where it was. */
function keepOrigin({ runtime: { entityShards } }: ShardAccess, transaction: ShardTransaction, move: RowMove): void {
  const origin = entityShards.of(move.entity)
  transaction.onRollback(() => {
    if (origin) entityShards.set(move.entity, origin)
  })
}

/** @returns the row as it was; undefined where it is gone */
async function follow(
  on: { readonly access: ShardAccess; readonly transaction: ShardTransaction },
  move: RowMove,
  rounds = maxRounds,
): Promise<ObjectLiteral | undefined> {
  const { access, transaction } = on
  const old = await access.onShard(move.from, (manager) => readReferences(manager, move))
  if (old) refuseKept(access, move, old)
  if (await carryRow(transaction, move, { children: false })) return old ?? undefined
  const { binding, entity } = move
  const located = await locateRow(access, binding, entity)
  if (!located) return undefined
  if (rounds > 1) return follow(on, { ...move, from: located.shard }, rounds - 1)
  throw new ShardedError('ROW_MOVED', `A row of ${binding.entity.name} was moved while it was saved.`, {
    details: { entity: binding.entity.name, shard: located.shard.name },
  })
}

/** Relations whose columns a move sets. */
const movedRelations = ({ binding, sets }: RowMove): readonly RelationMetadata[] =>
  binding.metadata.relationsWithJoinColumns.filter(({ joinColumns }) => joinColumns.some((column) => sets.has(column)))

/**
 * A row keeps the references that its move does not set: to rows that stay where they are.
 *
 * @throws ShardedError KEY_CONFLICT
 */
function refuseKept({ runtime }: ShardAccess, { binding, from, sets }: RowMove, old: ObjectLiteral): void {
  const key = binding.keyColumns.map((column) => sets.get(column))
  if (key.some((part) => part === undefined || part === null)) return
  const canonical = key.map((part, index) => canonicalValue(binding, index, part))
  if (shardOfKey(binding, canonical) === from) return
  const { name } = binding.entity
  const kept = binding.metadata.relationsWithJoinColumns.find(
    ({ foreignKeys, inverseEntityMetadata, joinColumns }) =>
      foreignKeys.length > 0 &&
      runtime.bindingOf(inverseEntityMetadata.target) !== undefined &&
      joinColumns.some((column) => !sets.has(column)) &&
      joinColumns.every((column) => (column.getEntityValue(old) ?? null) !== null),
  )
  if (!kept) return
  throw new ShardedError(
    'KEY_CONFLICT',
    `${name}.${kept.propertyPath} refers to a row of shard ${from.name}, and a save would move the row of ${name} to shard key ${canonical.join(', ')}.`,
    {
      details: { entity: name, relation: kept.propertyPath, now: canonical },
      fix: `Set ${kept.propertyPath} to null first, or to a row with the new shard key in the same save.`,
    },
  )
}

/** A row with the ids of what it refers to, as TypeORM loads it when it saves the entity; nobody hears of it. */
function readReferences(manager: EntityManager, move: RowMove): Promise<ObjectLiteral | null> {
  const { metadata } = move.binding
  const relations = metadata.relationsWithJoinColumns.map(({ propertyPath }) => propertyPath)
  return manager
    .createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name)
    .setFindOptions({
      loadEagerRelations: false,
      withDeleted: true,
      ...(relations.length > 0 && { loadRelationIds: { relations, disableMixedMap: true } }),
    })
    .whereInIds(metadata.getEntityIdMap(move.entity))
    .callListeners(false)
    .getOne()
}

/** The row with the columns, and the ids of relations, that it had. */
function shownAs(move: RowMove, old: ObjectLiteral): LoadOverride {
  const references = movedRelations(move).map((relation) => ({ relation, id: exchange(relation, old, undefined) }))
  const columns = [...move.sets.keys()].filter(({ isVirtual }) => !isVirtual)
  return {
    table: move.binding.metadata.tableName,
    primaryKey: primaryKeyText(move.binding.metadata, move.entity),
    show: (row) => {
      for (const { relation, id } of references)
        if (relation.getEntityValue(row) !== undefined) exchange(relation, row, id)
      for (const column of columns) column.setEntityValue(row, column.getEntityValue(old))
    },
  }
}

/** Gives a relation of a loaded row another value: TypeORM's own setter would merge the two. @returns the value before */
function exchange(relation: RelationMetadata, row: ObjectLiteral, value: unknown): unknown {
  const before: unknown = relation.getEntityValue(row)
  const embedded = relation.embeddedMetadata?.parentPropertyNames ?? []
  const holder = embedded.reduce<unknown>(
    (part, name) => (part instanceof Object ? Reflect.get(part, name) : undefined),
    row,
  )
  if (holder instanceof Object)
    Reflect.set(holder, relation.isLazy ? `__${relation.propertyName}__` : relation.propertyName, value)
  return before
}

/** Owners that list rows that have moved to their shard, without them: to TypeORM the save adds the rows to the lists. */
export function listsBefore(graph: readonly GraphNode[], moves: readonly RowMove[]): readonly LoadOverride[] {
  if (moves.length === 0) return []
  const moved = new Set(moves.map(({ binding, entity }) => rowText(binding.metadata, entity)))
  return graph.flatMap(({ binding: { metadata }, entity }) =>
    metadata.relations
      .filter((relation) => relation.isOneToMany || relation.isOneToOneNotOwner)
      .map((relation) => ({
        table: metadata.tableName,
        primaryKey: primaryKeyText(metadata, entity),
        show: (row: ObjectLiteral) => {
          const listed = loadedRelation(relation, row)
          const rest = listed.filter((id) => !moved.has(rowText(relation.inverseEntityMetadata, id)))
          if (rest.length < listed.length) exchange(relation, row, relation.isOneToMany ? rest : null)
        },
      })),
  )
}

/**
 * Rows that have the id that one of these objects was given, to be shown without it. A made id means a new row: TypeORM, which
 * looks for a row with the id, would take an object whose id is taken for that row, and overwrite it. So it inserts the
 * object, and the database refuses that as a duplicate.
 */
export const loadedWithoutId = (nodes: readonly GraphNode[], given: GivenIds): readonly LoadOverride[] =>
  nodes.flatMap(({ entity, binding: { metadata } }): LoadOverride[] => {
    const id = given.madeFor(entity)
    if (!id) return []
    return [
      {
        table: metadata.tableName,
        primaryKey: primaryKeyText(metadata, entity),
        show: (row) => id.column.setEntityValue(row, undefined),
      },
    ]
  })
