import type {
  A_Indirection,
  CommonTableExpr,
  JsonFuncExpr,
  JsonTable,
  NullTest,
  RangeTableFunc,
  SelectStmt,
  TypeName,
  WindowDef,
} from '@pgsql/types'
import type { Deparser } from 'pgsql-deparser'
import { wordSet } from '../collections/words'
import { quoted } from '../values/quoted'
import { type JsonParts, printJsonCall, printJsonTable, xmlTable } from './function-printer'

type Context = Parameters<Deparser['SelectStmt']>[1]

/** The library's printer, with the table functions and the calls of SQL/JSON that it has no printer for, or a wrong one. */
const withFunctionsOn = (Library: typeof Deparser): typeof Deparser =>
  class extends Library {
    /** It takes the document of an XMLTABLE for its row. */
    override RangeTableFunc(table: RangeTableFunc, context: Context): string {
      const alias = table.alias ? this.visit({ Alias: table.alias }, context) : ''
      return xmlTable(table, alias, this.jsonParts(context))
    }

    /** It has none for these: it calls the printer of a node by the node's name. */
    JsonFuncExpr(call: JsonFuncExpr, context: Context): string {
      return printJsonCall(call, this.jsonParts(context))
    }

    JsonTable(table: JsonTable, context: Context): string {
      const alias = table.alias && ` ${this.visit({ Alias: table.alias }, context)}`
      return `${printJsonTable(table, this.jsonParts(context))}${alias ?? ''}`
    }

    private jsonParts(context: Context): JsonParts {
      return {
        expression: (node) => this.visit(node, context),
        value: (node) => this.JsonValueExpr(node, context),
        type: (node) => this.TypeName(node, context),
        output: (node) => this.formatJsonOutput(node, context) ?? '',
      }
    }
  }

/** The library's printer, with what it loses. The library is given, as it is loaded late: see `print-statement.ts`. */
export const printerOn = (Library: typeof Deparser): typeof Deparser =>
  class Printer extends withFunctionsOn(Library) {
    /** It prints a page WITH TIES as one without, and GROUP BY DISTINCT likewise. A page may stand behind all other clauses. */
    override SelectStmt(select: SelectStmt, context: Context): string {
      if (select.groupDistinct) {
        const { groupDistinct: _, ...plain } = select
        // Where the words stand in a subquery first, the text says something else than the tree, and is refused.
        return this.SelectStmt(plain, context).replace('GROUP BY ', 'GROUP BY DISTINCT ')
      }
      const { limitCount, limitOption, ...rest } = select
      if (!limitCount || limitOption !== 'LIMIT_OPTION_WITH_TIES') return super.SelectStmt(select, context)
      return `${super.SelectStmt(rest, context)} FETCH FIRST ${context.parens(this.visit(limitCount, context))} ROWS WITH TIES`
    }

    /** It writes the names of CTEs and windows without quotes. */
    override CommonTableExpr(cte: CommonTableExpr, context: Context): string {
      return super.CommonTableExpr({ ...cte, ctename: quoted(cte.ctename ?? '') }, context)
    }

    /** It writes `(ARRAY[a, b])[1]` without the parentheses. */
    override A_Indirection(node: A_Indirection, context: Context): string {
      const { arg, indirection = [] } = node
      if (!arg || !('A_ArrayExpr' in arg)) return super.A_Indirection(node, context)
      return `(${this.visit(arg, context)})${indirection.map((one) => this.visit(one, context)).join('')}`
    }

    /** It writes `(a AND b) IS NULL` without the parentheses. */
    override NullTest(test: NullTest, context: Context): string {
      const value = test.arg ? this.visit(test.arg, context) : ''
      return `(${value}) IS ${test.nulltesttype === 'IS_NULL' ? 'NULL' : 'NOT NULL'}`
    }

    /** It writes the names of types as words of SQL, which say another type: `bit` is bit(1), and `pg_catalog.bit` any bits. */
    override TypeName(type: TypeName, context: Context): string {
      const names = (type.names ?? []).map((name) => ('String' in name ? (name.String.sval ?? '') : ''))
      const [name = ''] = names.slice(-1)
      const isWord = names.length === 1 ? typeWords.has(name) : names[0] === 'pg_catalog' && bitTypes.has(name)
      if (!isWord || type.typmods?.length || type.setof) return super.TypeName(type, context)
      const bounds = (type.arrayBounds ?? []).map((bound) => {
        const size = 'Integer' in bound ? (bound.Integer.ival ?? 0) : -1
        return size < 0 ? '[]' : `[${size}]`
      })
      return [...names.slice(0, -1), quoted(name)].join('.') + bounds.join('')
    }

    override WindowDef(window: WindowDef, context: Context): string {
      return super.WindowDef(withQuotedNames(window), context)
    }

    override formatOverClause(over: WindowDef, context: Context): string {
      return super.formatOverClause(withQuotedNames(over), context)
    }
  }

/** Types of other names, or of another length, when they are written without quotes. */
const typeWords = wordSet(`
  bigint bit boolean character dec decimal float int integer interval json national nchar numeric real smallint time
  timestamp varchar`)

const bitTypes = wordSet('bit varbit')

const withQuotedNames = ({ name, refname, ...rest }: WindowDef): WindowDef => ({
  ...rest,
  ...(name && { name: quoted(name) }),
  ...(refname && { refname: quoted(refname) }),
})
