import type { GivenIds } from '../binding/given-ids'
import { primaryKeyText } from '../binding/primary-key-text'
import type { LoadOverride } from '../runners/load-override'
import type { GraphNode } from './entity-graph'

/**
 * Rows that have the id that one of these objects was given, to be shown without it. A made id means a new row: TypeORM, which
 * looks for a row with the id, would take an object whose id is taken for that row, and overwrite it. So it inserts the
 * object, and the database refuses that as a duplicate.
 */
export const loadedWithoutId = (nodes: readonly GraphNode[], given: GivenIds): readonly LoadOverride[] =>
  nodes.flatMap(({ entity, binding: { metadata } }): LoadOverride[] => {
    const id = given.madeFor(entity)
    if (!id) return []
    return [
      {
        table: metadata.tableName,
        primaryKey: primaryKeyText(metadata, entity),
        show: (row) => id.column.setEntityValue(row, undefined),
      },
    ]
  })
