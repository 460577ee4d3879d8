import type { InsertStmt } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import type { KeyColumn } from '../../model/sharded-entity'
import { moveFirst } from '../../planning/conflict-places'
import type { ConflictTarget } from '../../routing/conflict-target'
import { knownValue } from '../../routing/known-value'
import { type Predicate, pinnedKey, pinnedSlot } from '../../routing/predicate'
import { clusterPredicate } from '../../routing/route-cluster'
import type { TableUse } from '../../routing/scope'
import type { ShardedTable } from '../../routing/table-catalog'
import { allOf, namesOf } from '../../sql/tree'
import type { TypedValue } from '../../values/stored-key'
import { storedKey, storedKeyOf } from '../../values/stored-key'
import type { Run } from './statement-run'

/**
 * The table of an UPDATE that sets a part of the shard key, other than to the value that its own condition demands;
 * undefined where the keys of all rows stay.
 *
 * @param mayMove whether the UPDATE may move rows of a table; none where it is a part of another statement
 * @throws ShardedError KEY_CHANGED where its entity does not allow that; ID_CHANGED for an id that may be of another slot
 */
export function keyChangeOf(run: Run, mayMove?: (table: ShardedTable) => boolean): TableUse | undefined {
  const { statement, analysis, parameters } = run
  if (!('UpdateStmt' in statement)) return undefined
  const use = analysis.uses.find(({ rangeVar }) => rangeVar === statement.UpdateStmt.relation)
  if (!use) return undefined
  for (const { name = '', val } of allOf(statement.UpdateStmt.targetList, 'ResTarget')) {
    const index = use.table.keyColumns.indexOf(name)
    const isId = name === use.table.idColumn
    const isSource = index < 0 && use.table.keySources.has(name)
    if (index < 0 && !isId && !isSource) continue
    const cluster = analysis.clusters.find(({ uses }) => uses.has(use))
    const value = knownValue(val, { parameter: (number) => parameters[number - 1] })
    // A row that refers to nothing keeps its hidden key.
    if (isSource && value && (value.value ?? null) === null) continue
    if (isSource) throw sourceChanged(use.table, name)
    if (isId) refuseIdChange(use.table, cluster && clusterPredicate(cluster, parameters), value)
    if (index < 0) continue
    const pinned = cluster && pinnedKey(clusterPredicate(cluster, parameters), index)
    if (value && pinned !== undefined && isStoredAs(use.table.entity?.keyColumns[index], value, pinned)) continue
    if (use.table.hiddenColumns.has(name)) throw hiddenChanged(use.table, name)
    if (mayMove?.(use.table)) return use
    const movesAlone = !mayMove && use.table.entity?.onKeyChange === 'move'
    throw keyChanged(use.table, name, movesAlone ? moveAlone : undefined)
  }
  return undefined
}

/** The slot in an id leads to its row: another id is fine where it certainly has the row's own. */
function refuseIdChange(
  { entity, idColumn = '', slotColumns, name }: ShardedTable,
  predicate: Predicate | undefined,
  value: { readonly value: unknown } | undefined,
): void {
  const slotOf = slotColumns.get(idColumn)
  if (!slotOf || !entity) return
  const slot = value && slotOf(value.value)
  if (slot !== undefined && predicate && slot === pinnedSlot(entity, predicate)) return
  throw idChanged({ entity, name }, idColumn)
}

const idChanged = ({ entity, name }: Pick<ShardedTable, 'entity' | 'name'>, column: string): ShardedError =>
  new ShardedError('ID_CHANGED', `A statement would set ${column} of ${entity?.name ?? name}.`, {
    details: { entity: entity?.name ?? name, column },
  })

const moveAlone = 'Move the row with repository.move(entity, newKey), or with an UPDATE that is a statement of its own.'

function keyChanged({ entity, name }: ShardedTable, column: string, fix?: string): ShardedError {
  return new ShardedError(
    'KEY_CHANGED',
    `A statement would set ${column} of ${entity?.name ?? name}, a part of the shard key.`,
    { details: { entity: entity?.name ?? name, column }, ...(fix !== undefined && { fix }) },
  )
}

const hiddenChanged = ({ entity, name }: ShardedTable, column: string): ShardedError =>
  new ShardedError(
    'KEY_CHANGED',
    `A statement would set ${column} of ${entity?.name ?? name}, which is the shard key of another row.`,
    {
      details: { entity: entity?.name ?? name, column },
      fix: 'Move the row that it refers to, with { children: true }.',
    },
  )

const sourceChanged = ({ entity, name }: ShardedTable, column: string): ShardedError =>
  new ShardedError(
    'KEY_CHANGED',
    `A statement would set ${column} of ${entity?.name ?? name}, from which its shard key comes.`,
    {
      details: { entity: entity?.name ?? name, column },
      fix: 'Save the object, which compares the keys of both rows; or remove it, and insert it as a new one.',
    },
  )

/** Whether a part of the shard key that is set to a value stores what the condition demands of it already. */
function isStoredAs(column: KeyColumn | undefined, value: TypedValue, pinned: string): boolean {
  try {
    const key = column && storedKeyOf(value, column)
    // What the column would round equals no row's key: the update then changes nothing.
    return key !== undefined && column !== undefined && key === storedKey(pinned, column)
  } catch {
    return false
  }
}

/**
 * ON CONFLICT DO UPDATE must leave the key: to the value that is inserted it may be set, where the row is on the same shard or
 * is looked up and has that key.
 *
 * @returns whether it sets a part of the key, so that a row that is looked up must have the same
 */
export function refuseConflictKeys(
  { onConflictClause }: InsertStmt,
  table: ShardedTable,
  looksUp?: ConflictTarget,
): boolean {
  let setsKey = false
  for (const { name = '', val } of allOf(onConflictClause?.targetList, 'ResTarget')) {
    const isId = name === table.idColumn && table.slotColumns.has(name)
    const isSource = !table.keyColumns.includes(name) && table.keySources.has(name)
    if (!table.keyColumns.includes(name) && !isId && !isSource) continue
    const names = val && 'ColumnRef' in val ? namesOf(val.ColumnRef.fields) : undefined
    const keeps = names?.at(-1) === name && (names.length === 1 || names[0] === 'excluded' || names[0] === table.name)
    const conflict = allOf(onConflictClause?.infer?.indexElems, 'IndexElem').map(({ name: column }) => column)
    // Rows that conflict on the whole shard key have one and the same, and so have their ids the slot of it.
    const isSameKey = table.keyColumns.every((column) => conflict.includes(column))
    if (keeps && (names?.[0] !== 'excluded' || isSameKey || (isId && conflict.includes(name)))) continue
    if (keeps && !isId && looksUp === 'primary-key') {
      setsKey = true
      continue
    }
    if (isSource) throw sourceChanged(table, name)
    throw isId ? idChanged(table, name) : keyChanged(table, name, moveFirst)
  }
  return setsKey
}
