import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { unsupported } from '../errors/sharded-error'
import { fieldsOf, isRangeVar, replaceNodes, visit } from './tree'

/** The query of a view; undefined for a name that no view has. */
export type ViewQuery = (schema: string | undefined, name: string) => SelectStmt | undefined

/**
 * A statement with the queries of views in place of their names, as PostgreSQL itself expands them; undefined where it names none.
 * What a query of a WITH is called is no view.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED for a write of a view
 */
export function expandViews(statement: Node, queryOf: ViewQuery): Node | undefined {
  const ctes = new Set<string>()
  visit(statement, (object) => {
    const name = fieldsOf(object, 'CommonTableExpr')?.ctename
    if (name !== undefined) ctes.add(name)
  })
  let isExpanded = false
  const viewOf = ({ schemaname, relname = '' }: RangeVar): SelectStmt | undefined =>
    schemaname === undefined && ctes.has(relname) ? undefined : queryOf(schemaname, relname)
  const expanded = replaceNodes(statement, (object) => {
    const named = fieldsOf(object, 'RangeVar')
    if (named) {
      const query = viewOf(named)
      if (!query) return undefined
      isExpanded = true
      const { alias, relname = '' } = named
      // A view of views.
      const subquery = expandViews({ SelectStmt: query }, queryOf) ?? { SelectStmt: query }
      return { RangeSubselect: { subquery, alias: { aliasname: relname, ...alias } } } satisfies Node
    }
    // What a statement writes stands without a wrapper.
    if (isRangeVar(object) && viewOf(object))
      throw unsupported(`The view ${object.relname} is of tables over shards, and is only read. Write its tables.`, {
        view: object.relname,
      })
    return undefined
  })
  return isExpanded ? expanded : undefined
}
