import type { EntityMetadata } from 'typeorm'
import { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { physicalName } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'

/** PostgreSQL cuts longer names silently. */
const maxNameBytes = 63

export interface PlacedTables {
  readonly shards: readonly Shard[]
  readonly metadatas: readonly EntityMetadata[]
}

/**
 * Sees that no two tables of a node have one name, and that none is cut. In the layout `table` the shards' tables stand
 * beside each other and beside the unsharded ones.
 *
 * @throws ShardedError NAME_INVALID, or DECLARATIONS_INVALID if there are several
 */
export function checkPhysicalNames(groups: readonly PlacedTables[], unsharded: readonly EntityMetadata[]): void {
  const refusals = new Refusals()
  const taken = new Map<string, string>()
  const take = (node: string, { schema, name }: { schema: string; name: string }, owner: string) => {
    if (Buffer.byteLength(name) > maxNameBytes)
      throw invalid(`The table name "${name}" of ${owner} is longer than ${maxNameBytes} bytes.`)
    const place = `${node}/${schema}.${name}`
    const other = taken.get(place)
    if (other !== undefined && other !== owner)
      throw invalid(`The table "${schema}"."${name}" would belong to ${other} and to ${owner}.`)
    taken.set(place, owner)
  }
  const isTable = groups.some(({ shards }) => shards.some((shard) => shard.layout === 'table'))
  for (const { shards, metadatas } of groups) {
    for (const shard of shards) {
      // A schema of its own holds only its own tables, and its name is checked with the shard map.
      if (shard.layout === 'schema') continue
      // Children of single-table inheritance stand in their parent's table.
      for (const metadata of metadatas) {
        if (metadata.tableType === 'entity-child') continue
        const place = physicalName(metadata.tableName, shard)
        refusals.attempt(() => take(shard.node, place, `${metadata.name} on shard ${shard.name}`))
      }
    }
  }
  // In the layout `schema` alone no table of a shard stands beside an unsharded one.
  const nodes = new Set(isTable ? groups.flatMap(({ shards }) => shards.map((shard) => shard.node)) : [])
  for (const metadata of unsharded) {
    if (metadata.tableType === 'entity-child') continue
    const place = { schema: metadata.schema ?? 'public', name: metadata.tableName }
    for (const node of nodes) refusals.attempt(() => take(node, place, metadata.name))
  }
  refusals.throwAny()
}

const invalid = (text: string): ShardedError => new ShardedError('NAME_INVALID', text)
