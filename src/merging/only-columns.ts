import type { Row } from './row'

/** A row with some of its columns. @example onlyColumns({ id: 1, __arm: 0 }, ['id']) // { id: 1 } */
export function onlyColumns(row: Row, names: readonly string[]): Row {
  const result: Record<string, unknown> = {}
  for (const name of names) result[name] = row[name]
  return result
}
