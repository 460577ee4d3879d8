import type { TypedValue } from '../values/stored-key'
import { storedKeyOf } from '../values/stored-key'
import type { ShardedTable } from './table-catalog'

/**
 * What a row that is given a value has in a column: rows are looked for by it. The value itself where only PostgreSQL knows, or
 * will refuse it.
 */
export function valueToFind({ columns }: ShardedTable, name: string, typed: TypedValue): unknown {
  const type = columns.get(name)?.type
  try {
    return (type && storedKeyOf(typed, type)) ?? typed.value
  } catch {
    return typed.value
  }
}
