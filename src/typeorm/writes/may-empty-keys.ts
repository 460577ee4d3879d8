import type { EntityMetadata } from 'typeorm'
import type { GraphNode } from './entity-graph'

/**
 * Whether a save of these objects may take rows off a relation whose join columns are a shard key that can be NULL (by
 * `orphanedRowAction`). Which rows, TypeORM finds out as it saves; the guard of keys then refuses the statement.
 */
export const mayEmptyKeys = (graph: readonly GraphNode[]): boolean =>
  [...new Set(graph.map(({ binding }) => binding.metadata))].some(leavesOrphans)

const leavesOrphans = ({ relations }: EntityMetadata): boolean =>
  relations.some(
    ({ isOwning, inverseRelation }) => !isOwning && inverseRelation?.joinColumns.some((one) => one.isNullable),
  )
