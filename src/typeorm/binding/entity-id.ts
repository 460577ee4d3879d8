import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { IdMaker } from '../../ids/id-maker'
import type { IdColumn } from '../../model/sharded-entity'

/** The ids of an entity, where the model, TypeORM's metadata and what makes them meet. */
export interface EntityId extends IdColumn {
  readonly column: ColumnMetadata
  /** The id is (a part of) the shard key: it decides the shard, and has to be there first. */
  readonly isKey: boolean
  readonly maker: IdMaker
  /** The value that TypeORM would give an entity for what the database holds. */
  readonly hydrate: (text: string) => unknown
}
