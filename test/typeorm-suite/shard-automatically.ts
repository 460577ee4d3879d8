import type { DataSource, EntityMetadata } from 'typeorm'
import { hash } from '../../src/index'
import type { ShardArgsStorage, ShardedArgs, ShardKeyArgs } from '../../src/model/sharded-options'

const keyTypes: ReadonlySet<unknown> = new Set([Number, String, 'int', 'integer', 'bigint', 'varchar', 'text', 'uuid'])

/**
 * Declares, in the place of decorators, every entity of a data source as sharded that could be so with `@Sharded(hash(…))` on the
 * class and `@ShardKey()` on its primary key, and nothing else.
 *
 * @param current the data source that is being initialised
 */
export function shardAutomatically(current: () => DataSource | undefined): void {
  const declared = (): readonly EntityMetadata[] => {
    const all = current()?.entityMetadatas ?? []
    return all.filter((metadata) => canBeSharded(metadata, all))
  }
  const storage: ShardArgsStorage = {
    get sharded(): ShardedArgs[] {
      return declared().map(({ target }) => ({ target, fn: hash({ shards: 4 }), options: {} }))
    },
    get shardKeys(): ShardKeyArgs[] {
      return declared().flatMap(({ target, primaryColumns: [column] }) =>
        column ? [{ target, propertyName: column.propertyName }] : [],
      )
    },
  }
  // Where decorators leave what they were told: see `sharded-options.ts`.
  Object.assign(globalThis, { [Symbol.for('typeorm-sharded.args')]: storage })
}

/** A table of its own, with one column for its primary key, and with nothing that would reach beyond a shard. */
function canBeSharded(metadata: EntityMetadata, all: readonly EntityMetadata[]): boolean {
  const { primaryColumns, tableType, inheritancePattern, treeType, relations, foreignKeys } = metadata
  const [key, another] = primaryColumns
  if (!key || another || key.embeddedMetadata || !keyTypes.has(key.type)) return false
  if (tableType !== 'regular' || inheritancePattern || treeType || metadata.schema || metadata.database) return false
  if (relations.length > 0 || foreignKeys.length > 0 || metadata.uniques.length > 0) return false
  if (metadata.indices.some((index) => index.isUnique) || metadata.exclusions.length > 0) return false
  if (metadata.columns.some((column) => column.isGenerated && column.generationStrategy !== 'uuid')) return false
  return all.every((other) => other.relations.every((relation) => relation.inverseEntityMetadata !== metadata))
}
