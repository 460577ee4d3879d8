import type { ValueType } from './sort-form'

/** One column of a query's answer. */
export interface OutputColumn {
  readonly name: string
  readonly type: ValueType
}
