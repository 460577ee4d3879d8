import type { Node } from '@pgsql/types'

/** The rows of VALUES, by the names of their columns. */
export interface InsertedRows {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Node[])[]
  /** The values of parameters. */
  readonly values: readonly unknown[]
}
