import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import type { TableCatalog } from '../../routing/table-catalog'

/** What a server says of `x.id` beside `FROM table AS y` has the same SQLSTATE, and is a mistake of the statement. */
const mistakenName = 'errorMissingRTE'

/**
 * A server's error that it does not know a sharded table, as a refusal: a function has asked one node for the table, or a text that is
 * read as its name. All that a statement itself says of the table has other names on shards.
 *
 * @returns the error itself where it says something else
 */
export function asFarTable(error: unknown, catalog: TableCatalog): unknown {
  if (sqlState(error) !== undefinedTable || !(error instanceof Error)) return error
  if ('routine' in error && error.routine === mistakenName) return error
  const path = /["«„]([^"»“]+)["»“]/u.exec(error.message)?.[1]?.split('.') ?? []
  const name = path.at(-1) ?? ''
  if (path.length > 2 || !catalog.table(path.at(-2), name)) return error
  return new ShardedError(
    'STATEMENT_UNSUPPORTED',
    `A function, or a text that is read as the name of a table, asks one node for ${name}, whose rows are on shards.`,
    { details: { table: name }, cause: error },
  )
}
