import type { EntityMetadata } from 'typeorm'

/** The entity whose table holds the rows: of a child of single-table inheritance the one at the root, else the entity itself. */
export const rootEntity = (metadata: EntityMetadata): EntityMetadata =>
  metadata.tableType === 'entity-child' ? rootEntity(metadata.parentEntityMetadata) : metadata
