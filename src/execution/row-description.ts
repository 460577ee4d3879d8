import type { PoolClient, QueryResult } from 'pg'

type TypeParser = (value: string) => unknown

/** What a server told of the rows of a prepared statement: it tells the same each time, or that its plan is stale. */
export interface RowDescription {
  /** What pg makes of it for a result: fields, parsers, an empty row. */
  readonly shape: object
  readonly fields: QueryResult['fields']
  readonly parsers: readonly TypeParser[]
}

/** What is to be remembered of the answer of a named statement. */
export function descriptionOf(result: QueryResult, client: PoolClient): RowDescription {
  const { rows: _rows, command: _command, rowCount: _count, oid: _oid, ...shape } = result
  return { shape, fields: result.fields, parsers: result.fields.map((field) => parserOf(field, client)) }
}

/** False once somebody has set another parser for a type: pg asks for them anew each time. */
export function isCurrent({ fields, parsers }: RowDescription, client: PoolClient): boolean {
  for (const [index, field] of fields.entries()) if (parserOf(field, client) !== parsers[index]) return false
  return true
}

const parserOf = ({ dataTypeID }: QueryResult['fields'][number], client: PoolClient): TypeParser =>
  client.getTypeParser(dataTypeID, 'text')
