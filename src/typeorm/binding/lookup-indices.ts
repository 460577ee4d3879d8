import type { EntityMetadata } from 'typeorm'
import { IndexMetadata } from 'typeorm/metadata/IndexMetadata'
import type { LookupBinding } from './lookup-binding'

/**
 * Gives the tables of entities an index on what is looked up, where they have none: a lookup finds the shard, and the row is
 * to be found there too.
 */
export function addLookupIndices(metadatas: readonly EntityMetadata[], lookups: readonly LookupBinding[]): void {
  for (const { lookup, table } of lookups) {
    const metadata = metadatas.find((one) => one.tableName === table.source.table && one.tableType !== 'entity-child')
    if (!metadata) continue
    const columns = lookup.columns.flatMap(
      ({ propertyPath }) => metadata.findColumnWithPropertyPath(propertyPath) ?? [],
    )
    const isServed = [...metadata.indices, ...metadata.uniques].some((index) =>
      columns.every((column, place) => index.columns[place] === column),
    )
    if (isServed || columns.every((column, place) => metadata.primaryColumns[place] === column)) continue
    const name = lookup.isUnique ? undefined : lookup.givenName
    const index = new IndexMetadata({
      entityMetadata: metadata,
      columns,
      args: { target: metadata.target, synchronize: true, ...(name !== undefined && { name }) },
    })
    metadata.indices.push(index.build(metadata.dataSource.namingStrategy))
  }
}
