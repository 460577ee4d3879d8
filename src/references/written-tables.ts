import type { Node, RangeVar } from '@pgsql/types'
import { allOf, isRangeVar, type TreeObject, visit } from '../sql/tree'

/** What a text does to reference tables. */
export type ReferenceWrite =
  /** The names of those that it writes. */
  | { readonly kind: 'write'; readonly names: readonly string[] }
  /** What would be done on the home node alone. */
  | { readonly kind: 'refused'; readonly text: string }

/** Statements that change no table that they name, or whose writes are found in them. All others are refused. */
const harmless = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'TruncateStmt',
  'ExplainStmt',
  'LockStmt',
  'VacuumStmt',
  'DeclareCursorStmt',
  'ViewStmt',
  'CreateTableAsStmt',
])

/**
 * What the statements of a text do to reference tables; undefined where they only read them, or name none. What a function or a trigger
 * does is not seen here: the database refuses it.
 *
 * @param nameOf the name of a reference table; undefined for other tables
 */
export function writtenTables(
  statements: readonly Node[],
  nameOf: (schema: string | undefined, table: string) => string | undefined,
): ReferenceWrite | undefined {
  const written = new Set<string>()
  const nameOfTable = ({ schemaname, relname = '' }: RangeVar) => nameOf(schemaname, relname)
  for (const statement of statements) {
    const refused = refusedOf(statement, nameOfTable, nameOf)
    if (refused !== undefined) return Object.freeze({ kind: 'refused', text: refused })
    visit(statement, (object: TreeObject) => {
      const { InsertStmt: insertion, UpdateStmt: update, DeleteStmt: deletion, MergeStmt: merge } = object
      const targets = [
        (insertion ?? update ?? deletion ?? merge)?.relation,
        ...allOf(object.TruncateStmt?.relations, 'RangeVar'),
      ]
      for (const target of targets) {
        const name = target && nameOfTable(target)
        if (name !== undefined) written.add(name)
      }
    })
  }
  return written.size === 0 ? undefined : Object.freeze({ kind: 'write', names: Object.freeze([...written].sort()) })
}

function refusedOf(
  statement: Node,
  nameOfTable: (table: RangeVar) => string | undefined,
  nameOf: (schema: string | undefined, table: string) => string | undefined,
): string | undefined {
  const [kind = ''] = Object.keys(statement)
  let named: string | undefined
  visit(statement, (object) => {
    if (isRangeVar(object)) named ??= nameOfTable(object)
    // DROP has names that are lists of texts.
    else if (kind === 'DropStmt' && object.List) {
      const [name, schema] = allOf(object.List.items, 'String')
        .map(({ sval }) => sval)
        .reverse()
      named ??= nameOf(schema, name ?? '')
    }
  })
  if (named === undefined) return undefined
  const { TruncateStmt: truncation, CopyStmt: copy }: TreeObject = statement
  if (truncation?.behavior === 'DROP_CASCADE')
    return `TRUNCATE … CASCADE of ${named} would empty tables of each node by itself: name the tables to be emptied.`
  if (harmless.has(kind) || (copy && copy.is_from !== true)) return undefined
  return `The statement would change the reference table ${named} on the home node alone: synchronize() and buildReferenceTables() change its copies, and INSERT, UPDATE, DELETE and TRUNCATE write all of them.`
}
