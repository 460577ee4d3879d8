import type { ColumnRef, Node, RangeVar, ResTarget, TypeName } from '@pgsql/types'
import { unsupported } from '../errors/sharded-error'
import { isStar, outputName } from '../sql/output-name'
import type { ParsedStatement } from '../sql/parse-statement'
import { printStatement } from '../sql/print-statement'
import {
  isRangeVar,
  isSubquery,
  isTypeName,
  namesOf,
  parametersOf,
  replaceNodes,
  someNode,
  type TreeObject,
  visit,
} from '../sql/tree'
import { quoted } from '../values/quoted'
import { placeholderSchema } from './bind-shard-names'

/** A statement with the placeholder schema, and which of the given parameters it takes. */
export interface Template {
  readonly text: string
  /** Numbers of the parameters of the statement that it was made from, in the order in which it takes them. */
  readonly parameters: readonly number[]
}

/** The name of a table in a text: one or two identifiers, quoted or not. */
const tableName = /^(?:"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*)(?:\s*\.\s*(?:"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*))?/u

/** A table's name in a text, by the place that the parser gives. */
export interface NamedTable {
  readonly rangeVar: RangeVar
  /** The logical name of the sharded table. */
  readonly name: string
}

/**
 * Puts the placeholder schema before the tables of a text, at the places where the parser saw them. A table without an
 * alias gets its own name as one where columns are written with it.
 *
 * @param nameOf how a table is written; by default with the placeholder
 */
export function templateText(
  { text, statements }: ParsedStatement,
  tables: readonly NamedTable[],
  nameOf: (table: NamedTable) => string = ({ name }) => placeholder(name),
): string {
  // The parser counts bytes.
  const bytes = Buffer.from(text)
  const sorted = [...tables].sort((a, b) => (a.rangeVar.location ?? 0) - (b.rangeVar.location ?? 0))
  let result = ''
  let end = 0
  for (const table of sorted) {
    const { rangeVar, name } = table
    const start = rangeVar.location ?? 0
    const [written] = tableName.exec(bytes.subarray(start).toString()) ?? []
    if (written === undefined)
      throw unsupported(`The table ${name} cannot be found in the statement.`, { statement: text.slice(0, 500) })
    const alias =
      rangeVar.alias || !isNamed(statements, rangeVar.relname) ? '' : ` AS ${quoted(rangeVar.relname ?? name)}`
    result += `${bytes.subarray(end, start)}${nameOf(table)}${alias}`
    end = start + Buffer.byteLength(written)
  }
  return result + bytes.subarray(end).toString()
}

/** True where a column, or a whole row, is written with the name of a table. */
function isNamed(statements: readonly Node[], table: string | undefined): boolean {
  return someNode(statements, ({ ColumnRef: { fields = [] } = {} }) => {
    const qualifiers = fields.length === 1 ? fields : fields.slice(0, -1)
    return qualifiers.some((field) => 'String' in field && field.String.sval === table)
  })
}

const placeholder = (name: string): string => `"${placeholderSchema}".${quoted(name)}`

/** A copy of a tree with the placeholder schema on its sharded tables, and other nodes in the place of some. */
export function localise<T>(
  tree: T,
  uses: readonly NamedTable[],
  replacements: ReadonlyMap<unknown, (wrapper: TreeObject) => unknown> = new Map(),
): T {
  const names = new Map<unknown, string>(uses.map((use) => [use.rangeVar, use.name]))
  const schemas = new Set(uses.map(({ rangeVar }) => rangeVar.schemaname))
  // `FROM small` is that of the schema public, by which a column of it may be named.
  const isBare = ({ fields = [] }: ColumnRef) =>
    fields.length === 3 &&
    namesOf(fields.slice(0, 1))?.[0] === 'public' &&
    uses.some(({ rangeVar }) => !rangeVar.alias && rangeVar.relname === namesOf(fields.slice(1, 2))?.[0])
  const target = ({ ResTarget: found }: TreeObject): unknown =>
    found && namedTarget(found, (part) => localise(part, uses, replacements))
  return replaceNodes(tree, (object) => {
    const named = replacements.size > 0 ? target(object) : undefined
    if (named) return named
    const replace = replacements.get(object) ?? replacements.get(object['RangeVar'])
    if (replace) return replace(object)
    if (object.ColumnRef)
      return withoutSchema(object.ColumnRef, isBare(object.ColumnRef) ? new Set([...schemas, 'public']) : schemas)
    const name = names.get(object)
    if (name === undefined) return undefined
    return {
      ...object,
      schemaname: placeholderSchema,
      relname: name,
      alias: object['alias'] ?? { aliasname: object['relname'] },
    }
  })
}

/** `"__shard__"."order"."id"`, and `public.order.id` of a user, is the column of a table that now has an alias. */
function withoutSchema(column: ColumnRef, schemas: ReadonlySet<string | undefined>): unknown {
  const { fields = [] } = column
  const [first] = fields
  if (fields.length < 3 || !first || !('String' in first)) return undefined
  if (first.String.sval !== placeholderSchema && !schemas.has(first.String.sval)) return undefined
  return { ColumnRef: { ...column, fields: fields.slice(1) } }
}

const noSchemas: ReadonlySet<string> = new Set()

/** Prints a localised tree, with its parameters numbered from 1. @throws ShardedError STATEMENT_UNSUPPORTED */
export function templateOf(statement: Node): Template {
  const parameters = parametersOf(statement)
  const numbered = replaceNodes(statement, (object) => {
    if (object.ColumnRef) return withoutSchema(object.ColumnRef, noSchemas)
    return object.ParamRef && { ParamRef: { number: parameters.indexOf(object.ParamRef.number ?? 0) + 1 } }
  })
  const printed = printStatement(numbered)
  const tables: NamedTable[] = []
  const seen = new Set<unknown>()
  visit(printed.statements, (object) => {
    // A query for several columns at once stands in the tree for each of them.
    if (isRangeVar(object) && object.schemaname === placeholderSchema && !seen.has(object)) {
      seen.add(object)
      tables.push({ rangeVar: object, name: object.relname ?? '' })
    }
    const type = isTypeName(object) ? ofShard(object) : undefined
    // An alias is nothing that a type could have.
    if (type !== undefined)
      tables.push({ rangeVar: { location: Number(object['location'] ?? 0), alias: {} }, name: type })
    return undefined
  })
  return Object.freeze({ text: templateText(printed, tables), parameters: Object.freeze(parameters) })
}

/** A type of a shard's schema: that of the rows of a table, an enum. */
function ofShard({ names }: TypeName): string | undefined {
  const [schema, type] = namesOf(names) ?? []
  return schema === placeholderSchema ? type : undefined
}

/** An output that has its name from a subquery keeps it, whatever stands in the subquery's place. */
function namedTarget(target: ResTarget, inner: (node: Node) => Node): unknown {
  const { name, val } = target
  if (name !== undefined || !val || !hasLink(val) || isStar(val)) return undefined
  return { ResTarget: { ...target, name: outputName(val), val: inner(val) } }
}

const hasLink = (tree: Node): boolean => someNode(tree, isSubquery)
