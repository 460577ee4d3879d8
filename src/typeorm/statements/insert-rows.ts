import type { InsertStmt, Node, SelectStmt } from '@pgsql/types'
import { parameterOf } from '../../planning/carried-values'
import { isUntyped } from '../../planning/detached-parts'
import type { Answer, ShippedColumn } from '../../planning/shipped-rows'
import type { TableUse } from '../../routing/scope'
import type { ShardedTable } from '../../routing/table-catalog'
import { withCtes } from '../../sql/ctes'
import { integerConstant, selectNode } from '../../sql/nodes'
import { allOf, fieldsOf } from '../../sql/tree'
import type { KeyType } from '../../values/key-type'
import { columnList, insertedColumns, notPlaceable } from './inserted-keys'
import type { StatementWriter } from './planned-write'
import type { Run } from './statement-run'

/** A column of rows that were read. */
export interface ReadColumn extends ShippedColumn {
  /** It is a literal or parameter that has its type from where it goes, the same in all rows. */
  readonly isOpen: boolean
}

/** An INSERT, with the query or the VALUES that its rows come from. */
export interface RowsInsert {
  readonly write: Run
  readonly insertion: InsertStmt
  readonly select: SelectStmt
  /** Of rows that were read, what their columns are; undefined where a value is not sent by the type that it was read with. */
  readonly columns?: readonly ReadColumn[] | undefined
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
  if (insertion.cols && answer.columns.length < columns.length)
    throw notPlaceable('An INSERT … SELECT of fewer columns than it names', table)
  const names = columns.slice(0, answer.columns.length)
  for (const { type } of answer.columns)
    if (type.kind === 'composite' || type.name.startsWith('record'))
      throw notPlaceable('An INSERT … SELECT of whole rows', table)
  const targets = answer.columns.some(({ type }) => type.kind === 'enum')
    ? await targetTypes(engine, write, insertion)
    : []
  const values: unknown[] = [...write.parameters]
  const cells = answer.columns.map((_, index) =>
    cellMaker(select, answer, { index, table, name: names[index] ?? '', targets }),
  )
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
    columns: answer.columns.some(({ type }) => type.kind === 'enum')
      ? undefined
      : answer.columns.map((column, index) => ({
          ...column,
          name: names[index] ?? '',
          isOpen: openLiteral(select, answer, index) !== undefined,
        })),
  }
}

type CellMaker = (note: (value: unknown) => number, value: unknown) => Node

interface Cell {
  readonly index: number
  readonly table: ShardedTable
  /** Of the column that it goes into. */
  readonly name: string
  /** The columns of the table, where an enum goes into one. */
  readonly targets: Answer['columns']
}

/** The types that the table's columns have. */
async function targetTypes(engine: StatementWriter, write: Run, { relation }: InsertStmt): Promise<Answer['columns']> {
  if (!relation) return []
  const star: Node = { ResTarget: { val: { ColumnRef: { fields: [{ A_Star: {} }] } } } }
  const none = { limitCount: integerConstant(0), limitOption: 'LIMIT_OPTION_COUNT' } as const
  const select = selectNode({ targetList: [star], fromClause: [{ RangeVar: relation }], ...none })
  return (await engine.texts(select, write)).columns
}

/** Each shard has an enum of its own, of one name. */
const enumName = (name: string): string => name.slice(name.lastIndexOf('.') + 1)

function openLiteral(select: SelectStmt, { columns }: Answer, index: number): Node | undefined {
  const literal = select.larg ? undefined : allOf(select.targetList, 'ResTarget')[index]?.val
  // As many targets as columns: there is no star among them.
  return literal && select.targetList?.length === columns.length && isUntyped(literal) ? literal : undefined
}

/** @returns gives the node of a value, whose text it notes as a parameter */
function cellMaker(select: SelectStmt, answer: Answer, { index, table, name, targets }: Cell): CellMaker {
  const literal = openLiteral(select, answer, index)
  if (literal) return () => literal
  const type = answer.columns[index]?.type
  const target = targets.find((one) => one.name === name)?.type
  if (type?.kind === 'enum' && target?.kind === 'enum' && enumName(type.name) !== enumName(target.name))
    throw notPlaceable(`An INSERT … SELECT of another enum for ${name}`, table)
  const isEnum = type?.kind === 'enum' && target?.kind === 'enum'
  const kept = keptTypes[type?.name ?? '']
  const isKept = isEnum || (kept !== undefined && kept === table.columns.get(name)?.type?.type)
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
