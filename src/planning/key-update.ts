import type { Node, ReturningClause, UpdateStmt } from '@pgsql/types'
import { type ShardedError, unsupported } from '../errors/sharded-error'
import type { StatementAnalysis } from '../routing/statement-analysis'
import type { ShardedTable } from '../routing/table-catalog'
import { namesOf, someNode } from '../sql/tree'

/** An UPDATE that sets a part of the shard key, taken apart: its rows may have to go to other shards. */
export interface KeyUpdate {
  /** The name by which its expressions know the table. */
  readonly alias: string
  /** What it sets, by column; undefined for DEFAULT. */
  readonly sets: ReadonlyMap<string, Node | undefined>
  readonly where: Node | undefined
  readonly returning: ReturningClause | undefined
}

/**
 * Takes apart an UPDATE of one table. Its new values are computed by the shard that a row leaves, once, so they may be any
 * expressions; but the key's own must give the same each time they are asked for, since the row is placed by it.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED for what cannot be computed on the shard of the row alone
 */
export function keyUpdateOf(update: UpdateStmt, table: ShardedTable, analysis: StatementAnalysis): KeyUpdate {
  const refuse = (what: string) => immovable(what, table)
  if (
    update.withClause ||
    update.fromClause ||
    analysis.uses.length > 1 ||
    [...analysis.homeTables, ...analysis.copies].length > 0
  )
    throw refuse('that reads other tables')
  if (analysis.detached.length > 0) throw refuse('with a subquery')
  const sets = new Map<string, Node | undefined>()
  for (const target of update.targetList ?? []) {
    if (!('ResTarget' in target)) throw refuse('of this form')
    const { name = '', indirection, val } = target.ResTarget
    if (indirection?.length) throw refuse(`of a part of ${name}`)
    if (!val || 'MultiAssignRef' in val) throw refuse('of several columns by one value')
    const isDefault = 'SetToDefault' in val
    if (table.keyColumns.includes(name)) {
      if (isDefault) throw refuse(`that sets ${name} to its default`)
      if (callsFunction(val)) throw refuse(`that sets ${name} by a function`)
    }
    sets.set(name, isDefault ? undefined : val)
  }
  if (namesOldRow(update.returningClause)) throw refuse('that returns the old row')
  return Object.freeze({
    alias: update.relation?.alias?.aliasname ?? update.relation?.relname ?? table.name,
    sets,
    where: update.whereClause,
    returning: update.returningClause,
  })
}

const callsFunction = (expression: Node): boolean =>
  someNode(expression, ({ FuncCall: call, SubLink: link }) => call !== undefined || link !== undefined)

function namesOldRow(returning: ReturningClause | undefined): boolean {
  if (returning?.options?.length) return true
  return someNode(returning?.exprs, ({ ColumnRef: { fields = [] } = {} }) => {
    return fields.length > 1 && namesOf(fields.slice(0, 1))?.[0] === 'old'
  })
}

const immovable = (what: string, { name, entity }: ShardedTable): ShardedError =>
  unsupported(`An UPDATE ${what} cannot move rows of ${name} to other shards.`, {
    entity: entity?.name ?? name,
    table: name,
  })
