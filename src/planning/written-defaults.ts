import type { InsertStmt, Node, SelectStmt } from '@pgsql/types'
import { selectNode } from '../sql/nodes'
import { allOf, fieldsOf } from '../sql/tree'

/** Expressions of defaults, by the name of their column. Each is one value for all rows of a statement. */
type Defaults = ReadonlyMap<string, Node>

/**
 * A write with the expressions of some columns' defaults in the places where it takes them: where it says DEFAULT, and where an
 * INSERT leaves the column out. An INSERT of a query or of values without a list of columns is left as it is.
 *
 * @example withWrittenDefaults(INSERT INTO t (id, at) VALUES ($1, DEFAULT), at → now()) // … VALUES ($1, now())
 */
export function withWrittenDefaults(statement: Node, defaults: Defaults): Node {
  if ('UpdateStmt' in statement)
    return { UpdateStmt: { ...statement.UpdateStmt, ...assigned(statement.UpdateStmt.targetList, defaults) } }
  return 'InsertStmt' in statement ? { InsertStmt: inserted(statement.InsertStmt, defaults) } : statement
}

function inserted(statement: InsertStmt, defaults: Defaults): InsertStmt {
  const { onConflictClause, selectStmt } = statement
  const written: InsertStmt = {
    ...statement,
    ...(onConflictClause && {
      onConflictClause: { ...onConflictClause, ...assigned(onConflictClause.targetList, defaults) },
    }),
  }
  const select = fieldsOf(selectStmt, 'SelectStmt')
  // `DEFAULT VALUES` is a row that leaves all columns out.
  if (!select) return { ...written, ...withColumns(written, selectNode({ valuesLists: [{ List: {} }] }), defaults) }
  return statement.cols ? { ...written, ...withColumns(written, select, defaults) } : written
}

function withColumns(
  { cols = [] }: InsertStmt,
  select: SelectStmt,
  defaults: Defaults,
): Pick<InsertStmt, 'cols' | 'selectStmt'> {
  const names = allOf(cols, 'ResTarget').map(({ name }) => name)
  const missing = [...defaults].filter(([name]) => !names.includes(name))
  const values = missing.map(([, value]) => value)
  return {
    cols: [...cols, ...missing.map(([name]): Node => ({ ResTarget: { name } }))],
    selectStmt: { SelectStmt: extended(select, values, (item, at) => writtenOut(item, defaults.get(names[at] ?? ''))) },
  }
}

/** A query with values behind its own. */
function extended(
  select: SelectStmt,
  values: readonly Node[],
  valueAt: (item: Node, place: number) => Node,
): SelectStmt {
  const { valuesLists, larg, rarg } = select
  if (larg && rarg) return { ...select, larg: extended(larg, values, valueAt), rarg: extended(rarg, values, valueAt) }
  if (!valuesLists)
    return {
      ...select,
      targetList: [...(select.targetList ?? []), ...values.map((val): Node => ({ ResTarget: { val } }))],
    }
  const rows = allOf(valuesLists, 'List').map(
    ({ items = [] }): Node => ({ List: { items: [...items.map(valueAt), ...values] } }),
  )
  return { ...select, valuesLists: rows }
}

/** A list of assignments, where there is one. */
function assigned(targets: Node[] | undefined, defaults: Defaults): { readonly targetList?: Node[] } {
  if (!targets) return {}
  const written = targets.map((target): Node => {
    if (!('ResTarget' in target) || !target.ResTarget.val) return target
    const { name = '', val } = target.ResTarget
    return { ResTarget: { ...target.ResTarget, val: writtenOut(val, defaults.get(name)) } }
  })
  return { targetList: written }
}

const writtenOut = (item: Node, value: Node | undefined): Node => (value && 'SetToDefault' in item ? value : item)
