import type { ObjectLiteral } from 'typeorm'
import { orderOfRows, type WriteOrder } from '../../lookups/write-order'
import type { EntityBinding } from '../binding/entity-binding'
import { primaryKeyText } from '../binding/primary-key-text'
import type { GraphNode } from './entity-graph'

const rowOf = ({ binding: { metadata }, entity }: GraphNode) => ({
  table: metadata.tableName,
  primaryKey: primaryKeyText(metadata, entity),
})

/** The order of `save`: TypeORM comes to the entities that it is given, then to what hangs on each of them. */
export const saveOrder = (graphs: readonly (readonly GraphNode[])[]): WriteOrder =>
  orderOfRows(true, () => [
    ...graphs.flatMap((graph) => graph.slice(0, 1).map(rowOf)),
    ...graphs.flatMap((graph) => graph.slice(1).map(rowOf)),
  ])

/** The order of `upsert`: that of the rows. One row takes no value from another. */
export const upsertOrder = (binding: EntityBinding, rows: readonly ObjectLiteral[]): WriteOrder | undefined =>
  rows.length > 1 ? orderOfRows(false, () => rows.map((entity) => rowOf({ binding, entity }))) : undefined
