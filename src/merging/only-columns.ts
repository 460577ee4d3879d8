import type { Row } from './row'

/** Some columns of a row, each by the name that it is to have; default: its own. Of two with one name the last stays, as in pg. */
export interface KeptColumns {
  readonly columns: readonly string[]
  readonly names?: readonly string[]
}

/** What makes rows with some of their columns. @example onlyColumns({ columns: ['id'] })({ id: 1, __arm: 0 }) // { id: 1 } */
export function onlyColumns({ columns, names = columns }: KeptColumns): (row: Row) => Row {
  // An assignment to this name would set the prototype of the row; a field is defined, which takes longer.
  if (names.includes('__proto__'))
    return (row) => Object.fromEntries(names.map((name, at) => [name, row[columns[at] ?? '']]))
  if (columns === names) return (row) => kept(row, columns)
  return (row) => {
    const result: Record<string, unknown> = {}
    for (const [at, name] of names.entries()) result[name] = row[columns[at] ?? '']
    return result
  }
}

function kept(row: Row, columns: readonly string[]): Row {
  const result: Record<string, unknown> = {}
  for (const name of columns) result[name] = row[name]
  return result
}
