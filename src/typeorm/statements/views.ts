import type { SelectStmt } from '@pgsql/types'
import { expandViews } from '../../sql/expand-views'
import { type ParsedStatement, parseStatement } from '../../sql/parse-statement'
import { printStatement } from '../../sql/print-statement'

/** A view whose query reads tables of shards: no database has it. */
export interface ShardedView {
  /** Undefined: the one where names are looked for. */
  readonly schema: string | undefined
  readonly name: string
  readonly text: string
}

/** The views over shards. They are made nowhere: a statement that names one is run with the view's query in its place. */
export class Views {
  private readonly byName = new Map<string, SelectStmt>()
  private readonly expanded = new WeakMap<ParsedStatement, ParsedStatement>()

  /** @param searched the schema where names without one are looked for */
  constructor(private readonly searched: string) {}

  /** Defines a view; the parser must be loaded. @throws RangeError where its text is no query */
  define({ schema, name, text }: ShardedView): void {
    const [query] = parseStatement(text)?.statements ?? []
    if (!query || !('SelectStmt' in query)) throw new RangeError(`The view ${name} is no query.`)
    this.byName.set(keyOf(schema ?? this.searched, name), query.SelectStmt)
  }

  /** A text with the queries of the views that it names; as it is where it names none. @throws ShardedError STATEMENT_UNSUPPORTED */
  expand(parsed: ParsedStatement): ParsedStatement {
    if (this.byName.size === 0) return parsed
    const known = this.expanded.get(parsed)
    if (known) return known
    const [statement, another] = parsed.statements
    const queryOf = (schema: string | undefined, name: string) => this.byName.get(keyOf(schema ?? this.searched, name))
    const tree = statement && !another ? expandViews(statement, queryOf) : undefined
    const made = tree ? printStatement(tree) : parsed
    this.expanded.set(parsed, made)
    return made
  }
}

const keyOf = (schema: string, name: string): string => JSON.stringify([schema, name])
