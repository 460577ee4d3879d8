import type { DeleteStmt, ReturningClause, UpdateStmt } from '@pgsql/types'
import type { Arm } from '../query/arm-source'
import { outputName } from '../sql/output-name'
import { type ParsedStatement, parseStatement } from '../sql/parse-statement'
import { targetTable, writesRows } from '../sql/statement-parts'
import { allOf, fieldsOf, isTypeName, namesOf, someNode, type TreeObject, visit } from '../sql/tree'
import type { Shard } from '../topology/shard'
import { placeholderSchema } from './bind-shard-names'

/** What a shard's statement gives: the number of its rows, or the rows of its RETURNING, by these names. */
export interface ShardForm {
  readonly command: 'UPDATE' | 'DELETE'
  readonly returning: readonly string[] | undefined
}

/** What is to be known of a statement's tables. */
export interface ProofFacts {
  /** One of them has a column whose type (an enum) each shard declares for itself. */
  readonly hasOwnTypes: boolean
  /** Whether a shard's table has a rule of UPDATE or DELETE (CREATE RULE), by the table's logical name. */
  readonly hasRules: (shard: Shard, table: string) => boolean
}

/** What is proven of a statement. */
export interface Proven {
  readonly form: ShardForm
  /** The table that is written. */
  readonly table: string
  /** What the statement calls it, where it gives it another name. */
  readonly alias: string | undefined
}

/** To parse a longer text takes longer than to wait for an answer more. The parser does not remember it. */
const maxLetters = 20_000

const known = new WeakMap<ParsedStatement, { readonly proven: Proven | undefined }>()

/**
 * The form of a shard's statement that does the same as a query of a WITH, beside those of other shards; undefined where that
 * is not proven. The parser must be loaded.
 *
 * @example
 * unitedForm({ text: 'DELETE FROM "__shard__"."order" RETURNING "id"', … }, facts)?.form // { command: 'DELETE', returning: ['id'] }
 */
export function unitedForm({ text, shard }: Arm, { hasOwnTypes, hasRules }: ProofFacts): Proven | undefined {
  const parsed = text.length > maxLetters ? undefined : parseStatement(text)
  if (!parsed) return undefined
  const found = known.get(parsed) ?? { proven: provenForm(parsed) }
  known.set(parsed, found)
  const { proven } = found
  if (!proven || hasRules(shard, proven.table)) return undefined
  // A UNION of two shards' enums has no type.
  return proven.form.returning && hasOwnTypes ? undefined : proven
}

/** Names of the queries and of the columns of the statement that is made. Names in capitals are the same, and escapes may be any. */
const reservedName = /__(?:w\d+|same|arm|of)__|u&"/i

function provenForm({ text, statements }: ParsedStatement): Proven | undefined {
  const [statement, another] = statements
  // A semicolon would end the query of the WITH. A name of ours would mean another query.
  if (!statement || another || text.includes(';') || reservedName.test(text)) return undefined
  const { UpdateStmt: update, DeleteStmt: deletion }: TreeObject = statement
  const body = update ?? deletion
  const { schemaname, relname, alias } = targetTable(statement) ?? {}
  if (!body || relname === undefined || schemaname !== placeholderSchema) return undefined
  if (writesRows(body) || someNode(body, isOfCursor)) return undefined
  const { returningClause } = body
  const returning = returningClause && provenNames(body, returningClause)
  if (returningClause && !returning) return undefined
  return Object.freeze({
    form: Object.freeze({ command: update ? 'UPDATE' : 'DELETE', returning: returning && Object.freeze(returning) }),
    table: relname,
    alias: alias?.aliasname,
  })
}

/** The row of a cursor. As queries that write, PostgreSQL takes it only at the top of a statement. */
const isOfCursor = (object: TreeObject): boolean => object['CurrentOfExpr'] !== undefined

/**
 * The names of the columns of a RETURNING that has the same columns on all shards: no `*`, whose width is the table's; no
 * whole row and no cast to a type of the shard, whose types are each shard's own; no call at the top, which may give what is
 * no value of a column (void).
 */
function provenNames(
  body: UpdateStmt | DeleteStmt,
  { exprs: targets = [] }: ReturningClause,
): readonly string[] | undefined {
  const rows = rowNames(body)
  const isShardsOwn = (object: TreeObject): boolean => {
    if (object['A_Star'] !== undefined) return true
    const [name, ...more] = namesOf(object.ColumnRef?.fields) ?? []
    return name !== undefined && more.length === 0 && rows.has(name)
  }
  const outputs = allOf(targets, 'ResTarget')
  if (
    outputs.some(({ val }) => fieldsOf(val, 'FuncCall')) ||
    someNode(body, isOwnType) ||
    someNode(targets, isShardsOwn)
  )
    return undefined
  const names = outputs.map(({ name, val }) => name ?? outputName(val))
  return new Set(names).size === names.length ? names : undefined
}

const isOwnType = (object: TreeObject): boolean =>
  isTypeName(object) && namesOf(object.names)?.[0] === placeholderSchema

/** All that may stand for a whole row: names and aliases of tables, `old` and `new`. */
function rowNames(body: UpdateStmt | DeleteStmt): ReadonlySet<string> {
  const names = new Set(['old', 'new'])
  visit(body, ({ relname, aliasname, option, value }) => {
    const isOption = typeof option === 'string' && option.startsWith('RETURNING_OPTION')
    for (const name of [relname, aliasname, isOption && value]) if (typeof name === 'string') names.add(name)
    return undefined
  })
  return names
}
