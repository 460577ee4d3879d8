import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'

/** Who decides on the value of a column in place of the object that is written; undefined: what the object has is stored. */
export function writtenBy(column: ColumnMetadata): string | undefined {
  if (column.isDiscriminator) return 'TypeORM stores the discriminator of the class in it'
  if (column.asExpression !== undefined) return 'PostgreSQL computes it'
  if (column.isVersion) return 'TypeORM counts it up with each update'
  if (column.isUpdateDate) return 'TypeORM sets it with each update'
  if (column.isDeleteDate) return 'TypeORM sets it with softDelete and restore'
  if (column.isMaterializedPath || column.isNestedSetLeft || column.isNestedSetRight)
    return 'TypeORM keeps the place in the tree in it'
  return column.isInsert ? undefined : 'TypeORM leaves it out of INSERT (insert: false)'
}
