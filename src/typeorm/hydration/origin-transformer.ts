import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { Alias } from 'typeorm/query-builder/Alias'
import { RawSqlResultsToEntityTransformer } from 'typeorm/query-builder/transformer/RawSqlResultsToEntityTransformer'
import type { Row } from '../../merging/row'

/** Which row an entity was made of, and as what. */
export interface EntityOrigin {
  readonly entity: ObjectLiteral
  readonly row: Row
  readonly alias: string
  /** Of its class, which may be a child of the one that was asked for. */
  readonly metadata: EntityMetadata
}

/** TypeORM's transformer, which also tells the row of each entity that it makes: columns that no property has are read there. */
export class OriginTransformer extends RawSqlResultsToEntityTransformer {
  readonly origins: EntityOrigin[] = []

  protected override transformJoins(
    rows: Row[],
    entity: ObjectLiteral,
    alias: Alias,
    metadata: EntityMetadata,
  ): boolean {
    const [row] = rows
    if (row) this.origins.push({ entity, row, alias: alias.name, metadata })
    return super.transformJoins(rows, entity, alias, metadata)
  }
}
