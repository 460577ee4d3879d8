import type { InsertStmt, Node } from '@pgsql/types'
import { shippedSide } from '../../planning/detached-parts'
import { type ShippedRows, shipAnswer } from '../../planning/shipped-rows'
import { withCtes, withoutUnusedCtes } from '../../sql/ctes'
import { fieldsOf } from '../../sql/tree'
import { homeStatement, type PlannedWrite, type StatementWriter } from './planned-write'
import { problemOf, type Run, refuseProblems } from './statement-run'

/**
 * Plans an INSERT into a table of the home node. A query that is not local to shards is read first, and the INSERT then is of its
 * rows: it can be gathered only by itself.
 *
 * @throws ShardedError JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED
 */
export async function planInsertAtHome(
  engine: StatementWriter,
  write: Run,
  insertion: InsertStmt,
): Promise<PlannedWrite> {
  const select = fieldsOf(insertion.selectStmt, 'SelectStmt')
  if (!problemOf(write.analysis) || !select || select.valuesLists) {
    refuseProblems(write.analysis)
    return homeStatement(engine, write, await engine.substitute(write))
  }
  const { withClause } = insertion
  const answer = await engine.texts(withClause ? withCtes(select, withClause) : select, write)
  const shipped: ShippedRows[] = []
  const values = [...write.parameters]
  const numbered = answer.columns.map((column, index) => ({ ...column, name: `c${index}` }))
  const cte = shipAnswer(shipped, values, { rows: answer.rows, columns: numbered })
  const rows: Node = { SelectStmt: shippedSide(cte, select, answer.columns) }
  const statement = withoutUnusedCtes<Node>({ InsertStmt: { ...insertion, selectStmt: rows } }, () => true)
  const { analysis } = await engine.reader.analysed(statement)
  // It says something of shards beside its query.
  if (analysis.uses.length > 0) refuseProblems(write.analysis)
  return homeStatement(engine, { ...write, statement, analysis }, { shipped, values, replacements: new Map() })
}
