import type { InsertStmt, Node, SelectStmt } from '@pgsql/types'
import { parameterOf } from '../../planning/carried-values'
import { isUntyped } from '../../planning/detached-parts'
import type { Answer } from '../../planning/shipped-rows'
import type { TableUse } from '../../routing/scope'
import type { ShardedTable } from '../../routing/table-catalog'
import { withCtes } from '../../sql/ctes'
import { selectNode } from '../../sql/nodes'
import { allOf, fieldsOf } from '../../sql/tree'
import type { KeyType } from '../../values/key-type'
import { columnList, insertedColumns, notPlaceable } from './inserted-keys'
import type { StatementWriter } from './planned-write'
import type { Run } from './statement-run'

/** An INSERT, with the query or the VALUES that its rows come from. */
export interface RowsInsert {
  readonly write: Run
  readonly insertion: InsertStmt
  readonly select: SelectStmt
}

/**
 * Reads the rows of an INSERT … SELECT, which may belong to any shard, and gives the INSERT of them as VALUES. Each value has the type
 * that the query gives it, so that PostgreSQL converts it as it would have.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED for rows that cannot be sent; ROW_BUDGET_EXCEEDED
 */
export async function withReadRows(
  engine: StatementWriter,
  { write, insertion, select }: RowsInsert,
  { table }: TableUse,
): Promise<RowsInsert> {
  const { withClause } = insertion
  const answer = await engine.texts(withClause ? withCtes(select, withClause) : select, write)
  const columns = insertedColumns(insertion, table)
  if (answer.columns.length > columns.length)
    throw notPlaceable('An INSERT … SELECT of more columns than the table has', table)
  const names = columns.slice(0, answer.columns.length)
  const values: unknown[] = [...write.parameters]
  const cells = answer.columns.map((_, index) => cellMaker(select, answer, { index, table, name: names[index] ?? '' }))
  const valuesLists = answer.rows.map(
    (row): Node => ({
      List: { items: cells.map((make, index) => make((value) => values.push(value), row[`c${index}`])) },
    }),
  )
  const rest: InsertStmt = { ...insertion, cols: columnList(names) }
  // Of the rows nothing is found but what the first has.
  const few: Node = { SelectStmt: selectNode({ valuesLists: valuesLists.slice(0, 1) }) }
  const { statement, analysis } = await engine.reader.analysed({ InsertStmt: { ...rest, selectStmt: few } })
  return {
    write: { ...write, statement, analysis, parameters: values },
    insertion: rest,
    select: selectNode({ valuesLists }),
  }
}

type CellMaker = (note: (value: unknown) => number, value: unknown) => Node

interface Cell {
  readonly index: number
  readonly table: ShardedTable
  /** Of the column that it goes into. */
  readonly name: string
}

/** @returns gives the node of a value, whose text it notes as a parameter */
function cellMaker(select: SelectStmt, { columns }: Answer, { index, table, name }: Cell): CellMaker {
  const literal = select.larg ? undefined : allOf(select.targetList, 'ResTarget')[index]?.val
  // As many targets as columns: there is no star among them.
  if (literal && select.targetList?.length === columns.length && isUntyped(literal)) return () => literal
  const type = columns[index]?.type
  const isKept = type?.kind === 'enum' || keptTypes[type?.name ?? ''] === table.columns.get(name)?.type?.type
  const cast = isKept || !type ? undefined : fieldsOf(parameterOf(1, type.name), 'TypeCast')
  return (note, value) => {
    const parameter: Node = { ParamRef: { number: note(value) } }
    return cast ? { TypeCast: { ...cast, arg: parameter } } : parameter
  }
}

/** Types of columns of the same type, whose texts say the same without a cast, which would hide a key from its shard. */
const keptTypes: Readonly<Record<string, KeyType>> = {
  'timestamp with time zone': 'timestamptz',
  'timestamp without time zone': 'timestamp',
  character: 'char',
}
