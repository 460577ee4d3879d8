import type { CommonTableExpr, Node, RangeVar } from '@pgsql/types'
import { isNamed, usedCtes } from '../sql/ctes'
import { targetTable } from '../sql/statement-parts'
import { allOf, fieldsOf, isRangeVar, isTreeObject, namesOf, replaceNodes, type TreeObject, visit } from '../sql/tree'
import { hasVolatile, type KnownFunctions } from './known-functions'
import type { Problem } from './problem'
import type { ShardedTable, TableCatalog } from './table-catalog'

/** A statement of a WITH that writes. */
export interface WriteStep {
  readonly name: string
  /** What its columns are called, as far as its WITH says. */
  readonly columns: readonly string[]
  readonly statement: Node
}

/** A statement whose WITH writes, as statements that run one after the other. */
export interface WriteSteps {
  readonly steps: readonly WriteStep[]
  /** The queries of its WITH. */
  readonly queries: readonly Node[]
  readonly isRecursive: boolean
  /** The statement without its WITH. */
  readonly last: Node
}

/** The parts of a statement whose outermost WITH writes; undefined for all others. */
export function writeStepsOf(statement: Node): WriteSteps | undefined {
  const { SelectStmt: select, InsertStmt: insertion, UpdateStmt: update, DeleteStmt: deletion }: TreeObject = statement
  const fields = select ?? insertion ?? update ?? deletion
  const { ctes = [], recursive = false } = fields?.withClause ?? {}
  const isQuery = (cte: Node) => fieldsOf(fieldsOf(cte, 'CommonTableExpr')?.ctequery, 'SelectStmt') !== undefined
  const steps = allOf(
    ctes.filter((cte) => !isQuery(cte)),
    'CommonTableExpr',
  ).flatMap(stepOf)
  if (steps.length === 0) return undefined
  const last = replaceNodes(statement, (object) => {
    if (object !== fields) return undefined
    const { withClause: _, ...rest } = object
    return rest
  })
  return { steps, queries: ctes.filter(isQuery), isRecursive: recursive, last }
}

const stepOf = ({ ctename = '', ctequery, aliascolnames }: CommonTableExpr): WriteStep[] =>
  ctequery ? [{ name: ctename, columns: namesOf(aliascolnames) ?? [], statement: ctequery }] : []

/**
 * Why the parts of a statement may not run one after the other. PostgreSQL runs them at once, and none sees what another writes: after
 * the first has written, no part may read a table, and none may write what another one's writes reach.
 */
export function stepsProblem(
  { steps, queries, isRecursive, last }: WriteSteps,
  { catalog, functions }: { readonly catalog: TableCatalog; readonly functions: KnownFunctions },
): Problem | undefined {
  if (steps.some(({ statement }) => writeStepsOf(statement))) return unsupported('has a WITH of its own that writes')
  const parts = [...steps.map(({ statement }) => statement), last]
  for (const [index, { name, statement }] of steps.entries())
    if (!returns(statement) && parts.slice(index + 1).some((part) => isNamed([part, ...queries], name)))
      return unsupported(`is named ${name} and returns nothing`)
  // Each part would ask it again.
  for (const query of queries)
    if (
      hasVolatile(query, functions) &&
      parts.filter((part) => usedCtes(queries, fieldsOfPart(part)).has(query)).length > 1
    )
      return unsupported('reads a query that calls a volatile function, as another part does')
  for (const [index, part] of parts.entries()) {
    const used = [part, ...usedCtes(queries, fieldsOfPart(part))]
    if (isRecursive && steps.slice(index).some(({ name }) => isNamed(used, name)))
      return unsupported('names one that comes after it')
    if (index === 0) continue
    const names = new Set([...steps.slice(0, index).map(({ name }) => name), ...queries.map(nameOfCte)])
    const [read] = tablesIn(used, names).filter((table) => table !== targetTable(part))
    if (read) return unsupported(`reads ${read.relname} after another part has written`)
  }
  const targets = parts.flatMap((part) => targetTable(part) ?? [])
  const tables = targets.map((target) => catalog.table(target.schemaname, target.relname ?? ''))
  if (tables.filter((table) => table === undefined).length > 1) return unsupported('writes two unsharded tables')
  const reference = targets.find(({ schemaname, relname = '' }) => catalog.isReference(schemaname, relname))
  if (reference && targets.length > 1)
    return unsupported(`writes ${reference.relname}, which rows of every shard refer to`)
  for (const [index, one] of tables.entries())
    for (const other of tables.slice(index + 1))
      if (one && other && (reaches(one, other, catalog) || reaches(other, one, catalog)))
        return unsupported(`writes ${one.name} and ${other.name}, of which one refers to the other`)
  return undefined
}

const fieldsOfPart = (part: Node): TreeObject => (isTreeObject(part) ? part : {})

const returns = ({ InsertStmt: insertion, UpdateStmt: update, DeleteStmt: deletion }: TreeObject): boolean =>
  (insertion ?? update ?? deletion)?.returningClause !== undefined

const nameOfCte = (cte: Node): string => fieldsOf(cte, 'CommonTableExpr')?.ctename ?? ''

const unsupported = (what: string): Problem => ({
  code: 'STATEMENT_UNSUPPORTED',
  text: `A part of a data-modifying WITH over several shards ${what}: run the parts as statements of one transaction.`,
})

function tablesIn(tree: unknown, names: ReadonlySet<string>): readonly RangeVar[] {
  const found: RangeVar[] = []
  visit(tree, (object) => {
    if (isRangeVar(object) && (object.schemaname !== undefined || !names.has(object.relname ?? ''))) found.push(object)
  })
  return found
}

/** True where `to` is `from`, or refers to it, or to what refers to it: what is done to rows of `from` may be done to its rows. */
function reaches(from: ShardedTable, to: ShardedTable, catalog: TableCatalog): boolean {
  const seen = new Set<string>()
  const look = (table: ShardedTable): boolean => {
    if (table.name === from.name) return true
    if (seen.has(table.name)) return false
    seen.add(table.name)
    return table.references.some((reference) => {
      const next = catalog.table(undefined, reference.table)
      return next === undefined || look(next)
    })
  }
  return from.group === to.group && look(to)
}
