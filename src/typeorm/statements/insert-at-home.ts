import type { InsertStmt, Node } from '@pgsql/types'
import { shippedSide } from '../../planning/detached-parts'
import { type ShippedRows, shipAnswer } from '../../planning/shipped-rows'
import { withCtes, withoutUnusedCtes } from '../../sql/ctes'
import { fieldsOf } from '../../sql/tree'
import { broadcastWrite } from './broadcast'
import { homeStatement, type PlannedWrite, type StatementWriter } from './planned-write'
import { problemOf, type Run } from './statement-run'

/**
 * Plans an INSERT into a table of the home node.
 *
 * @throws ShardedError JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED
 */
export async function planInsertAtHome(
  engine: StatementWriter,
  write: Run,
  insertion: InsertStmt,
): Promise<PlannedWrite> {
  const select = fieldsOf(insertion.selectStmt, 'SelectStmt')
  const asSent = await insertAsSent(engine, write, insertion)
  if (asSent || !select) return homeStatement(engine, asSent ?? write, await engine.substitute(asSent ?? write))
  const { withClause } = insertion
  const answer = await engine.texts(withClause ? withCtes(select, withClause) : select, write)
  const shipped: ShippedRows[] = []
  const values = [...write.parameters]
  const numbered = answer.columns.map((column, index) => ({ ...column, name: `c${index}` }))
  const cte = shipAnswer(shipped, values, { rows: answer.rows, columns: numbered })
  const rows: Node = { SelectStmt: shippedSide(cte, select, answer.columns) }
  const statement = withoutUnusedCtes<Node>({ InsertStmt: { ...insertion, selectStmt: rows } }, () => true)
  const { analysis } = await engine.reader.analysed(statement)
  return homeStatement(engine, { ...write, statement, analysis }, { shipped, values, replacements: new Map() })
}

/**
 * An INSERT into a table of the home node as it runs there: where its query is not local to shards, and something beside it asks shards
 * too, with the rows of all tables.
 *
 * @returns undefined where its query is read first, and the INSERT then is of its rows
 */
export async function insertAsSent(
  engine: StatementWriter,
  write: Run,
  insertion: InsertStmt,
): Promise<Run | undefined> {
  const { selectStmt, ...rest } = insertion
  const hasQuery = fieldsOf(selectStmt, 'SelectStmt')?.valuesLists === undefined
  if (problemOf(write.analysis) && hasQuery && !(await asksShards(engine, rest))) return undefined
  return broadcastWrite(write, engine)
}

async function asksShards(engine: StatementWriter, insertion: InsertStmt): Promise<boolean> {
  const statement = withoutUnusedCtes<Node>({ InsertStmt: insertion }, () => true)
  return (await engine.reader.analysed(statement)).analysis.uses.length > 0
}
