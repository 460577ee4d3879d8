import type { ShippedColumn } from './shipped-rows'

/** One column of a query's answer. */
export type OutputColumn = ShippedColumn
