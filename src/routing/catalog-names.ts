import type { Node } from '@pgsql/types'
import { ofText } from '../collections/of-text'
import { isTreeObject, isTypeName, namesOf, type TreeObject, visit, writtenText } from '../sql/tree'
import type { TableCatalog } from './table-catalog'

/** Why a statement is not run: it speaks of a sharded table as a thing of one database's catalog. */
export interface CatalogProblem {
  readonly text: string
  /** It would change the schema, on the home node alone or not at all. */
  readonly isChange: boolean
}

/** Functions that take the name of a table. */
const takesName = /^(?:to_reg|pg_|has_|nextval$|currval$|setval$|col_description$|obj_description$)/u

const catalogSchemas = new Set(['pg_catalog', 'information_schema'])

const statements = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

const catalogWord = /\binformation_schema\b|\bpg_|\bto_reg|\breg(?:class|type)\b/i

/** Texts that may ask the catalog for what a parameter names. Without the flag `u`, with which a `\b` is twenty times as slow. */
export const mayAskCatalog = ofText((text) => catalogWord.test(text))

/**
 * Looks for what a statement says of sharded tables and their types other than by their rows: their entries in the catalog,
 * their types, their place, their definition. One database has one of each; shards have many, and the home node none.
 *
 * @param parameters values of the statement, of which one may be a name that the catalog is asked for
 */
export function catalogProblem(
  statement: Node,
  catalog: TableCatalog,
  parameters: readonly unknown[] = [],
): CatalogProblem | undefined {
  const [kind = ''] = Object.keys(statement)
  if (!statements.has(kind)) return changeProblem(statement, catalog)
  let found: string | undefined
  let readsCatalog = false
  let named = parameters.find((value) => typeof value === 'string' && isNameText(value, catalog))
  const text = (object: TreeObject) => writtenText(object, parameters)
  visit(statement, (object) => {
    found ??= namedType(object, catalog, text) ?? namedInCall(object, catalog, text) ?? namedPlace(object)
    readsCatalog ||= isCatalogTable(object)
    const written = text(object)
    if (written !== undefined && isNameText(written, catalog)) named ??= written
    return found === undefined
  })
  if (found === undefined && readsCatalog && named !== undefined) found = `asks the catalog for ${named}`
  return found === undefined ? undefined : { text: `The statement ${found}${ofEach}`, isChange: false }
}

const ofEach = ', of which each shard has one of its own: dataSource.shards(Entity) tells where they are.'

/** The name of a sharded table or of a type of one, as the parser gives it. */
function isName(path: readonly string[], catalog: TableCatalog): boolean {
  const name = path.at(-1) ?? ''
  const schema = path.at(-2)
  if (path.length > 2) return false
  return catalog.table(schema, name) !== undefined || (catalog.types.has(name) && catalog.isOfSharded(schema))
}

/** A text that PostgreSQL would read as such a name: without quotes it is folded. */
const isNameText = (text: string, catalog: TableCatalog): boolean =>
  isName(
    text
      .trim()
      .split('.')
      .map((part) => (part.startsWith('"') ? part.slice(1, -1) : part.toLowerCase())),
    catalog,
  )

type TextOf = (object: TreeObject) => string | undefined

/** A type that is a sharded table's row, or an enum of one; or a name that is read as one. */
function namedType(object: TreeObject, catalog: TableCatalog, textOf: TextOf): string | undefined {
  const { typeName: type, arg } = object
  const names = isTreeObject(type) && isTypeName(type) ? namesOf(type.names) : undefined
  if (!names) return undefined
  if (isName(names, catalog)) return `names the type ${names.join('.')}`
  const text = /^reg(?:class|type)$/u.test(names.at(-1) ?? '') && isTreeObject(arg) ? textOf(arg) : undefined
  return text !== undefined && isNameText(text, catalog) ? `names ${text} as ${names.at(-1)}` : undefined
}

function namedInCall(object: TreeObject, catalog: TableCatalog, textOf: TextOf): string | undefined {
  const { FuncCall: call } = object
  const name = namesOf(call?.funcname)?.at(-1)
  if (name === undefined || !takesName.test(name)) return undefined
  for (const arg of call?.args ?? []) {
    const text = textOf(arg)
    if (text !== undefined && isNameText(text, catalog)) return `calls ${name} for ${text}`
  }
  return undefined
}

const namedPlace = ({ ColumnRef: column }: TreeObject): string | undefined =>
  namesOf(column?.fields)?.at(-1) === 'tableoid' ? 'reads tableoid' : undefined

const isCatalogTable = ({ relname, schemaname }: TreeObject): boolean =>
  typeof relname === 'string' &&
  (schemaname === undefined ? relname.startsWith('pg_') : catalogSchemas.has(String(schemaname)))

/** DROP, COMMENT and the like name tables by lists of words; DO and CREATE FUNCTION have texts that are run later. */
function changeProblem(statement: Node, catalog: TableCatalog): CatalogProblem | undefined {
  const isCode = 'DoStmt' in statement || 'CreateFunctionStmt' in statement
  let named: string | undefined
  visit(statement, (object) => {
    const { String: found, List: list } = object
    const path = list && namesOf(list.items)
    const written = path ?? (found && (found.sval ?? '').split('.'))
    const words = isCode ? (written?.join('.').match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []) : []
    named ??= words.find((word) => isNameText(word, catalog))
    if (written && isName(written, catalog)) named ??= written.join('.')
    // A column's qualifier is the table of the query around it, which is looked for elsewhere.
    return named === undefined && path === undefined && !('ColumnRef' in object)
  })
  if (named === undefined) return undefined
  return {
    text: `The statement is no SELECT, INSERT, UPDATE or DELETE, and names ${named}, which each shard has for itself. Change tables by synchronize(), or shard by shard by dataSource.shard(name) under the shard's own names.`,
    isChange: true,
  }
}
