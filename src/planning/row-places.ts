import type { InsertStmt, Node, RangeVar } from '@pgsql/types'
import type { Row } from '../merging/row'
import { columnNode, functionNode, selectNode, targetNode } from '../sql/nodes'
import { allOf, fieldsOf, visit } from '../sql/tree'

/** A setting of the transaction: the place of the row that is being inserted. */
const setting = 'sharding.place'

/** A column that neither a RETURNING nor a table has. */
export function placeColumn({ returningClause }: InsertStmt, columns: Iterable<string>): string {
  const taken = new Set(columns)
  visit(returningClause, ({ name, sval }) => {
    for (const one of [name, sval]) if (typeof one === 'string') taken.add(one)
    return undefined
  })
  let column = '__place__'
  while (taken.has(column)) column += '_'
  return column
}

/**
 * Lets an INSERT say of each row that it returns which of its VALUES that is: rows that meet a conflict may be left out, and what
 * is returned need not tell one row from another. PostgreSQL evaluates a row of VALUES, inserts it and returns it before it
 * takes up the next; so one value of each notes the place of its row, and RETURNING reads the note.
 *
 * @param places of the rows in the whole, and the column that is to tell them
 * @example withRowPlaces(INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING RETURNING b, { column: '__place__', places: [3] })
 */
export function withRowPlaces(
  insertion: InsertStmt,
  { column, places }: { readonly column: string; readonly places: readonly number[] },
): InsertStmt {
  const { selectStmt, cols = [], relation } = insertion
  const select = fieldsOf(selectStmt, 'SelectStmt')
  if (!select?.valuesLists || !relation) return insertion
  const valuesLists = allOf(select.valuesLists, 'List').map(({ items = [] }, row): Node => {
    const at = items.findIndex((item) => !('SetToDefault' in item))
    const name = fieldsOf(cols[at], 'ResTarget')?.name
    return {
      List: {
        items: items.map((item, index) =>
          index === at && name !== undefined ? noting(item, places[row] ?? 0, { relation, name }) : item,
        ),
      },
    }
  })
  return {
    ...insertion,
    selectStmt: { SelectStmt: { ...select, valuesLists } },
    returningClause: {
      ...insertion.returningClause,
      exprs: [
        ...(insertion.returningClause?.exprs ?? []),
        targetNode(functionNode('current_setting', text(setting)), column),
      ],
    },
  }
}

/** Takes the place out of a row that was returned. */
export function takePlace(row: Row, column: string): { readonly place: number; readonly row: Row } {
  const { [column]: place, ...rest } = row
  return { place: Number(place), row: rest }
}

/** A value with its note. A parameter, or a constant without a type, has to become one of the column's: it is given that. */
function noting(value: Node, place: number, of: { readonly relation: RangeVar; readonly name: string }): Node {
  const isUnnoted: Node = {
    NullTest: {
      nulltesttype: 'IS_NULL',
      arg: functionNode('set_config', text(setting), text(String(place)), { A_Const: { boolval: { boolval: true } } }),
    },
  }
  const never = isUntyped(value) ? nothingOf(of) : { A_Const: { isnull: true } }
  return { CaseExpr: { args: [{ CaseWhen: { expr: isUnnoted, result: never } }], defresult: value } }
}

const isUntyped = (value: Node): boolean =>
  'ParamRef' in value || ('A_Const' in value && (value.A_Const.sval !== undefined || value.A_Const.isnull === true))

/** NULL of a column's type, whatever that is in the database. */
const nothingOf = ({ relation, name }: { readonly relation: RangeVar; readonly name: string }): Node => ({
  SubLink: {
    subLinkType: 'EXPR_SUBLINK',
    subselect: {
      SelectStmt: selectNode({
        targetList: [{ ResTarget: { val: columnNode(name) } }],
        fromClause: [{ RangeVar: relation }],
        whereClause: { A_Const: { boolval: {} } },
      }),
    },
  },
})

const text = (value: string): Node => ({ A_Const: { sval: { sval: value } } })
