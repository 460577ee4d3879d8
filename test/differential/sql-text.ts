import type { EntitySpec } from './columns'
import type { Data } from './data'
import type { Clause, Fragment, RawComparison, Sql } from './operation'

/** Makers of statements given as SQL. */

export const fragment = (sql: string, of: readonly Data[] = []): Fragment => ({ sql, of })

export const clause = (head: string, between: string, parts: readonly Fragment[], isFixed = false): Clause => ({
  head,
  between,
  parts,
  ...(isFixed && { isFixed }),
})

/** Text that stays as it is. */
export const fixed = (sql: string, of: readonly Data[] = []): Clause => clause('', '', [fragment(sql, of)], true)

export const listed = (head: string, texts: readonly string[]): Clause =>
  clause(
    head,
    ', ',
    texts.map((sql) => fragment(sql)),
    true,
  )

export const query = (spec: EntitySpec, method: string, clauses: readonly Clause[], compare: RawComparison): Sql => ({
  do: 'sql',
  entity: spec.name,
  method: `sql.${method}`,
  isWrite: false,
  compare,
  clauses,
})

export const inOrder: RawComparison = { rows: 'ordered', close: [], loose: [] }
