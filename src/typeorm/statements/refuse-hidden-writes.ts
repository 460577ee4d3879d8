import type { MergeStmt, Node } from '@pgsql/types'
import { ShardedError, unsupported } from '../../errors/sharded-error'
import { conflictTarget } from '../../routing/conflict-target'
import { allOf, isWrapper, visit } from '../../sql/tree'
import type { Shard } from '../../topology/shard'
import { idsTellShards, insertedKeys } from './inserted-keys'
import { keyChangeOf, refuseConflictKeys } from './key-change'
import type { Place, Run } from './statement-run'

/**
 * Checks what a statement on one shard writes beside its outermost part: in a WITH, or as MERGE. A row that it puts there must
 * belong there, and no key may change.
 *
 * @param shardsOf how many shards a group has
 * @throws ShardedError KEY_CHANGED, ID_CHANGED, WRONG_SHARD, STATEMENT_UNSUPPORTED
 */
export function refuseHiddenWrites(run: Run, place: Place, shardsOf: (group: string) => number): void {
  const { statement, analysis, parameters } = run
  const tableOf = (relation: unknown) => analysis.uses.find(({ rangeVar }) => rangeVar === relation)?.table
  visit(statement, (object) => {
    const { UpdateStmt: update, InsertStmt: insertion, MergeStmt: merge } = object
    const table = tableOf((update ?? insertion ?? merge)?.relation)
    if (!table || shardsOf(table.group) < 2 || !isWrapper(object)) return
    if (Object.is(object, statement) && !merge) return
    const part = { ...run, statement: object }
    if (update) keyChangeOf(part)
    if (merge) refuseMerge(merge, part)
    if (!insertion) return
    const shard = place.shards.get(table.group)
    refuseConflictKeys(insertion, table)
    // Only an INSERT by itself looks its conflicts up on other shards.
    if (conflictTarget(insertion, table) && !idsTellShards(table))
      throw misplaced('An INSERT in a WITH with ON CONFLICT about rows of other shards', table.name)
    const keys = insertedKeys(insertion, table, parameters)
    if (!keys) throw misplaced('An INSERT in a WITH', table.name)
    for (const index of keys) if (index !== shard?.index) throw wrongShard(table.name, shard)
  })
}

/** WHEN … INSERT is not placed by its key; WHEN … UPDATE must leave it. */
function refuseMerge({ relation, mergeWhenClauses }: MergeStmt, run: Run): void {
  for (const { commandType, targetList } of allOf(mergeWhenClauses, 'MergeWhenClause')) {
    if (commandType === 'CMD_INSERT') throw misplaced('The INSERT of a MERGE', relation?.relname ?? '')
    if (commandType !== 'CMD_UPDATE') continue
    const update: Node = { UpdateStmt: { ...(relation && { relation }), ...(targetList && { targetList }) } }
    keyChangeOf({ ...run, statement: update })
  }
}

const misplaced = (what: string, table: string): ShardedError =>
  unsupported(`${what} puts rows into ${table} whose shard is not known.`, { table })

const wrongShard = (table: string, shard: Shard | undefined): ShardedError =>
  new ShardedError(
    'WRONG_SHARD',
    `An INSERT in a WITH has a row of ${table} that does not belong to shard ${shard?.name}.`,
    { details: { table, shard: shard?.name } },
  )
