import type { A_Indirection, ColumnRef, FuncCall, Node, RangeVar, SelectStmt, WithClause } from '@pgsql/types'
import { wordSet } from '../collections/words'
import type { ParsedStatement } from './parse-statement'
import { allOf, fieldsOf, namesOf, type TreeObject, visit } from './tree'

/** A column that PostgreSQL may take the type of a parameter from. */
export interface ParameterColumn {
  /** The table as the statement names it. Each place of the statement that names a table is another object. */
  readonly table: RangeVar
  readonly name: string
}

/** A table that a FROM clause names, or anything else that it reads from. */
type Source = RangeVar | 'other'

/** The names that the expressions of one query level can use. */
interface Level {
  readonly parent: Level | undefined
  readonly sources: Map<string, Source>
  /** A join made one column of two: a name without a qualifier has the type of both. */
  hasMerged: boolean
}

/** An expression whose parts give each other their types. */
interface Region {
  hasParameter: boolean
  /** The region has a part whose type does not follow from the text and from the types of columns. */
  isUnknown: boolean
  readonly columns: ParameterColumn[]
}

/**
 * Functions of PostgreSQL whose result has a type that follows from the types of their arguments. A function of the database
 * may be replaced by one of another type.
 */
const knownFunctions = wordSet(`
  abs array_agg array_append array_length array_position avg bool_and bool_or cardinality ceil char_length concat
  concat_ws count date_part date_trunc every floor generate_series length lower lpad ltrim max md5 min mod now
  random replace round row_number row_to_json rtrim split_part starts_with string_agg substr substring sum to_char
  to_json to_jsonb to_tsquery plainto_tsquery websearch_to_tsquery to_tsvector trim unnest upper jsonb_array_length
  jsonb_build_object jsonb_extract_path jsonb_extract_path_text jsonb_path_exists`)

/**
 * The columns whose types decide the types of a statement's parameters, besides columns of which the statement's own result
 * tells the type.
 *
 * PostgreSQL gives a parameter its type when it first parses the statement. A prepared statement keeps the type for ever. If
 * the types of these columns are the same, a new parse would give every parameter the same type.
 *
 * The columns may be too many, never too few.
 *
 * @returns undefined if the columns are not known
 * @example
 * parameterColumns(parseStatement('SELECT id FROM note WHERE id = $1 AND at > $2')) // [{ table: note, name: 'at' }]
 */
export function parameterColumns({ statements }: ParsedStatement): readonly ParameterColumn[] | undefined {
  const [statement] = statements
  if (!statement || statements.length > 1) return undefined
  return hasOpenParameter(statement) ? new Reader(statement).columns() : []
}

/** True for a parameter without a cast of its own: `$1::date` says its type itself. */
const hasOpenParameter = (tree: unknown): boolean => {
  let found = false
  visit(tree, (object) => {
    if (isTypedParameter(object)) return false
    found ||= 'ParamRef' in object
    return !found
  })
  return found
}

const isTypedParameter = ({ TypeCast: cast }: TreeObject): boolean => cast?.arg !== undefined && 'ParamRef' in cast.arg

interface Assigned {
  readonly table: RangeVar | undefined
  /** The column gets a parameter elsewhere. */
  readonly isAlways?: boolean
}

class Reader {
  private readonly pinned = new Map<RangeVar, Set<string>>()
  private readonly ctes = new Set<string>()
  private isUnknown = false
  /** The table of an INSERT. */
  private target: RangeVar | undefined

  constructor(private readonly statement: Node) {
    visit(statement, ({ CommonTableExpr: cte }) => {
      if (cte) this.ctes.add(cte.ctename ?? '')
    })
  }

  columns(): readonly ParameterColumn[] | undefined {
    const told = this.readStatement(this.statement, undefined)
    if (this.isUnknown) return undefined
    return [...this.pinned].flatMap(([table, names]) =>
      [...names].filter((name) => !told(table, name)).map((name) => ({ table, name })),
    )
  }

  /** @returns whether the result has a column as it is, and so its type */
  private readStatement(statement: Node, parent: Level | undefined): (table: RangeVar, name: string) => boolean {
    if ('SelectStmt' in statement) {
      const level = this.readSelect(statement.SelectStmt, parent)
      return this.told(statement.SelectStmt.targetList, statement.SelectStmt.larg ? undefined : level)
    }
    if ('InsertStmt' in statement) {
      const { relation, withClause, cols, selectStmt, onConflictClause, returningClause } = statement.InsertStmt
      const level = this.targetLevel(relation, withClause)
      if (relation) level.sources.set('excluded', relation)
      this.target = relation
      this.readInserted(selectStmt, cols, level)
      for (const target of onConflictClause?.targetList ?? []) this.readAssignment(target, { table: relation }, level)
      this.readRegion([onConflictClause?.infer, onConflictClause?.whereClause], level)
      return this.readReturning(returningClause?.exprs, level)
    }
    const { UpdateStmt: update, DeleteStmt: deletion }: TreeObject = statement
    const change = update ?? deletion
    if (!change) {
      this.isUnknown = true
      return () => false
    }
    const { relation, withClause, whereClause, returningClause } = change
    const level = this.targetLevel(relation, withClause)
    this.readFrom(update?.fromClause ?? deletion?.usingClause, level)
    for (const target of update?.targetList ?? []) this.readAssignment(target, { table: relation }, level)
    this.readRegion(whereClause, level)
    return this.readReturning(returningClause?.exprs, level)
  }

  private targetLevel(relation: RangeVar | undefined, withClause: WithClause | undefined): Level {
    const level = newLevel(undefined)
    this.readCtes(withClause, undefined)
    if (relation) level.sources.set(relation.alias?.aliasname ?? relation.relname ?? '', relation)
    return level
  }

  private readReturning(exprs: Node[] | undefined, level: Level): ReturnType<Reader['readStatement']> {
    for (const expr of exprs ?? []) this.readRegion(expr, level)
    return this.told(exprs, level)
  }

  /** VALUES have the types of the columns that they go to, and so have parameters that a query gives as they are. */
  private readInserted(source: Node | undefined, columns: readonly Node[] | undefined, { sources }: Level): void {
    const [target] = sources.values()
    if (!source || !('SelectStmt' in source)) return
    this.readSelect(source.SelectStmt, undefined)
    const { valuesLists, targetList } = source.SelectStmt
    if (!hasOpenParameter([valuesLists, targetList])) return
    if (!columns || !target || target === 'other') this.isUnknown = true
    else
      for (const column of columns) this.readAssignment(column, { table: target, isAlways: true }, newLevel(undefined))
  }

  private readAssignment(node: Node, { table, isAlways = false }: Assigned, level: Level): void {
    if (!('ResTarget' in node) || !table) return
    const { name = '', indirection, val } = node.ResTarget
    const region = newRegion(isAlways)
    region.columns.push({ table, name })
    // Of `a[1] = $2`, the element's type decides.
    if (indirection) region.isUnknown = true
    this.read(val, level, region)
    this.close(region)
  }

  /** @param around the region that the outputs are compared in */
  private readSelect(select: SelectStmt, parent: Level | undefined, around?: Region): Level {
    this.readCtes(select.withClause, parent)
    const level = newLevel(parent)
    this.readRegion([select.limitCount, select.limitOffset], level)
    if (select.larg || select.rarg) {
      for (const part of [select.larg, select.rarg]) {
        if (!part) continue
        // The other side gives a bare parameter its type.
        if (part.targetList?.some(isBareParameter) || hasOpenParameter(part.valuesLists)) this.isUnknown = true
        this.readSelect(part, parent, around)
      }
      this.readRegion(select.sortClause, level)
      return level
    }
    this.readFrom(select.fromClause, level)
    for (const target of select.targetList ?? []) {
      if (around) this.read(target, level, around)
      else this.readRegion(target, level)
    }
    this.readRegion(select.valuesLists, level)
    this.readRegion(select.whereClause, level)
    this.readRegion(select.havingClause, level)
    for (const list of [select.groupClause, select.sortClause, select.distinctClause, select.windowClause])
      for (const part of list ?? []) this.readRegion(part, level)
    return level
  }

  private readCtes(withClause: WithClause | undefined, parent: Level | undefined): void {
    for (const { ctequery } of allOf(withClause?.ctes, 'CommonTableExpr'))
      if (ctequery) this.readStatement(ctequery, parent)
  }

  private readFrom(items: readonly Node[] | undefined, level: Level): void {
    // Conditions may use items that come after them, as in a join of joins.
    const later: (() => void)[] = []
    for (const item of items ?? []) this.addSource(item, level, later)
    for (const read of later) read()
  }

  private addSource(item: Node, level: Level, later: (() => void)[]): void {
    if ('RangeVar' in item) {
      const { schemaname, relname = '', alias } = item.RangeVar
      const isCte = schemaname === undefined && this.ctes.has(relname)
      level.sources.set(alias?.aliasname ?? relname, isCte || alias?.colnames ? 'other' : item.RangeVar)
    } else if ('JoinExpr' in item) {
      const { larg, rarg, quals, usingClause, isNatural, alias } = item.JoinExpr
      if (larg) this.addSource(larg, level, later)
      if (rarg) this.addSource(rarg, level, later)
      if (usingClause || isNatural || alias) level.hasMerged = true
      if (alias) level.sources.set(alias.aliasname ?? '', 'other')
      later.push(() => this.readRegion(quals, level))
    } else if ('RangeSubselect' in item) {
      const { subquery, lateral, alias } = item.RangeSubselect
      level.sources.set(alias?.aliasname ?? `#${level.sources.size}`, 'other')
      if (subquery) later.push(() => void this.readStatement(subquery, lateral ? level : level.parent))
    } else {
      const alias = 'RangeFunction' in item ? item.RangeFunction.alias?.aliasname : undefined
      level.sources.set(alias ?? `#${level.sources.size}`, 'other')
      later.push(() => this.readRegion(item, level))
    }
  }

  private readRegion(tree: unknown, level: Level): void {
    const region = newRegion(false)
    this.read(tree, level, region)
    this.close(region)
  }

  private close({ hasParameter, isUnknown, columns }: Region): void {
    if (!hasParameter) return
    if (isUnknown) this.isUnknown = true
    for (const { table, name } of columns) {
      const names = this.pinned.get(table) ?? new Set()
      this.pinned.set(table, names.add(name))
    }
  }

  private read(tree: unknown, level: Level, region: Region): void {
    visit(tree, (object) => {
      if (isTypedParameter(object)) return false
      const { ParamRef, ColumnRef, FuncCall, SubLink, BoolExpr, SelectStmt, A_Indirection, RangeVar } = object
      if (ParamRef) region.hasParameter = true
      const field = A_Indirection && this.fieldOfTarget(A_Indirection)
      if (field) {
        region.columns.push(field)
        return false
      }
      if (A_Indirection || RangeVar || (FuncCall && !isKnownFunction(FuncCall))) region.isUnknown = true
      if (ColumnRef) this.readColumn(ColumnRef, level, region)
      if (BoolExpr) {
        // Each part is a boolean, whatever the others are.
        for (const part of BoolExpr.args ?? []) this.readRegion(part, level)
        return false
      }
      if (SubLink) {
        const { testexpr, subLinkType, subselect } = SubLink
        this.read(testexpr, level, region)
        if (subLinkType === 'EXISTS_SUBLINK' && subselect) this.readStatement(subselect, level)
        else this.read(subselect, level, region)
        return false
      }
      if (SelectStmt) {
        this.readSelect(SelectStmt, level, region)
        return false
      }
      return undefined
    })
  }

  /** `(CAST(NULL AS note)).at` in an INSERT into `note`: inserts of arrays say so what their elements are. */
  private fieldOfTarget({ arg, indirection }: A_Indirection): ParameterColumn | undefined {
    const { target: table } = this
    const row = arg && 'TypeCast' in arg ? arg.TypeCast.typeName : undefined
    if (!table || !row) return undefined
    const [relname, schemaname] = [...(namesOf(row.names) ?? [])].reverse()
    const [name, ...others] = namesOf(indirection) ?? []
    const isTarget = relname === table.relname && schemaname === table.schemaname && row.arrayBounds === undefined
    return isTarget && name !== undefined && others.length === 0 ? { table, name } : undefined
  }

  private readColumn(reference: ColumnRef, level: Level, region: Region): void {
    const found = columnOf(namesOf(reference.fields), level)
    if (found) region.columns.push(found)
    else region.isUnknown = true
  }

  private told(targets: readonly Node[] | undefined, level: Level | undefined): ReturnType<Reader['readStatement']> {
    const whole = new Set<Source | undefined>()
    const single = new Map<RangeVar, Set<string>>()
    for (const { val } of level ? allOf(targets, 'ResTarget') : []) {
      const { fields } = fieldsOf(val, 'ColumnRef') ?? {}
      if (!level || !fields) continue
      const star = fields.at(-1)
      if (star && 'A_Star' in star) {
        const [alias] = namesOf(fields.slice(0, -1)) ?? []
        if (alias !== undefined) whole.add(level.sources.get(alias))
        else if (!level.hasMerged) for (const source of level.sources.values()) whole.add(source)
        continue
      }
      const column = columnOf(namesOf(fields), level)
      if (column) single.set(column.table, (single.get(column.table) ?? new Set()).add(column.name))
    }
    return (table, name) => whole.has(table) || single.get(table)?.has(name) === true
  }
}

const newLevel = (parent: Level | undefined): Level => ({ parent, sources: new Map(), hasMerged: false })

const newRegion = (hasParameter: boolean): Region => ({ hasParameter, isUnknown: false, columns: [] })

const isBareParameter = (target: Node): boolean =>
  fieldsOf(fieldsOf(target, 'ResTarget')?.val, 'ParamRef') !== undefined

function isKnownFunction({ funcname }: FuncCall): boolean {
  const names = namesOf(funcname) ?? []
  return names.length === 1 ? knownFunctions.has(names[0] ?? '') : names[0] === 'pg_catalog'
}

/** The column that a reference means; undefined if it may mean something else. */
function columnOf(names: readonly string[] | undefined, level: Level): ParameterColumn | undefined {
  const [name = '', alias, schema] = [...(names ?? [])].reverse()
  if (alias === undefined) return unqualified(name, level)
  for (let within: Level | undefined = level; within; within = within.parent) {
    const source = within.sources.get(alias)
    if (source === undefined) continue
    if (source === 'other') return undefined
    return schema === undefined || (schema === source.schemaname && !source.alias) ? { table: source, name } : undefined
  }
  return undefined
}

/** A name without a qualifier is a column of the only table, if no query around it can have the column instead. */
function unqualified(name: string, { parent, sources, hasMerged }: Level): ParameterColumn | undefined {
  const [table, ...others] = new Set(sources.values())
  const isOnly = others.length === 0 && !parent && !hasMerged
  return table && table !== 'other' && isOnly && name !== '' && !sources.has(name) ? { table, name } : undefined
}
