import type { PoolClient, QueryResult } from 'pg'

type TypeParser = (value: string) => unknown

/** What a server told of the rows of a prepared statement: it tells the same each time, or that its plan is stale. */
export interface RowDescription {
  /** What pg makes of it for a result: fields, parsers, an empty row. */
  readonly shape: object
  /** By the types of its columns. */
  readonly parsers: readonly (readonly [type: number, parser: TypeParser])[]
}

/** What is to be remembered of the answer of a named statement. */
export function descriptionOf(result: QueryResult, client: PoolClient): RowDescription {
  const { rows: _rows, command: _command, rowCount: _count, oid: _oid, ...shape } = result
  const types = [...new Set(result.fields.map(({ dataTypeID }) => dataTypeID))]
  return { shape, parsers: types.map((type) => [type, client.getTypeParser(type, 'text')]) }
}

/** False once somebody has set another parser for a type: pg asks for them anew each time. */
export const isCurrent = ({ parsers }: RowDescription, client: PoolClient): boolean =>
  parsers.every(([type, parser]) => client.getTypeParser(type, 'text') === parser)
