import type { RangeVar, SelectStmt } from '@pgsql/types'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { selectNode } from '../sql/nodes'
import { refuseNameless, type ShippedColumn, type ShippedRows } from './shipped-rows'

/** What a query gave. */
export interface Answer {
  readonly rows: readonly Row[]
  /** Of a query whose values were asked for as texts `c0 …`: the names and types that its columns have. */
  readonly columns: readonly ShippedColumn[]
}

/** Notes rows as a CTE of arrays. @returns its name @throws ShardedError STATEMENT_UNSUPPORTED */
export function shipAnswer(shipped: ShippedRows[], values: unknown[], { rows, columns }: Answer): string {
  const cte = `__m${shipped.length}__`
  if (columns.length === 0)
    throw new ShardedError(
      'STATEMENT_UNSUPPORTED',
      'Rows of a subquery without columns cannot be sent to shards: give it one.',
    )
  for (const { name, type, base } of columns) {
    refuseNameless(type)
    // PostgreSQL has one enum, the shards have one each.
    if ((type.kind !== 'enum' || (base && !type.name.endsWith('[]'))) && type.kind !== 'composite') continue
    throw new ShardedError(
      'STATEMENT_UNSUPPORTED',
      `The column ${name} of a subquery has a type that each shard defines for itself.`,
      { details: { column: name, type: type.name } },
    )
  }
  shipped.push({ cte, columns, firstParameter: values.length + 1 })
  for (const index of columns.keys()) values.push(rows.map((row) => row[`c${index}`]))
  return cte
}

export const tableNamed = (relname: string): RangeVar => ({ relname, inh: true, relpersistence: 'p' })

/** All rows of a CTE. */
export const shippedSelect = (cte: string): SelectStmt =>
  selectNode({
    targetList: [{ ResTarget: { val: { ColumnRef: { fields: [{ A_Star: {} }] } } } }],
    fromClause: [{ RangeVar: tableNamed(cte) }],
  })

/** True for the name of a CTE of shipped rows. */
export const isShippedName = (name: string): boolean => /^__m\d+__$/.test(name)
