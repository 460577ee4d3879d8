import type { EntityMetadata } from 'typeorm'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { buildShardedModel } from '../../model/build-sharded-model'
import type { LookupModel } from '../../model/lookup'
import { lookupArgsStorage } from '../../model/lookup-args-storage'
import { shardArgsStorage } from '../../model/shard-args-storage'
import type { ShardedModel } from '../../model/sharded-entity'
import { withLookups } from '../../model/with-lookups'
import { placeholderSchema } from '../../planning/bind-shard-names'
import { bindMetadata } from '../binding/bind-metadata'
import { checkSharedTables } from '../binding/check-shared-tables'
import { groupsOf } from '../binding/colocation-group'
import { describeEntities } from '../binding/describe-entities'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/**
 * The model of the entities, whose sharded tables stand in the placeholder schema from here on.
 *
 * @param refusals takes what is refused of single entities; all of it is thrown before names are checked, since of a model that
 *   is refused in part they would be refused for reasons that follow
 */
export function buildModel(
  metadatas: EntityMetadata[],
  options: ShardedDataSourceOptions,
  refusals: Refusals,
): LookupModel {
  const entities = describeEntities(metadatas)
  const defaults = {
    refusals,
    layout: options.layout ?? 'schema',
    scatter: options.scatter ?? {},
    primaryKeyCheck: options.primaryKeyCheck ?? true,
    groups: options.groups ?? {},
  } as const
  const sharded = buildShardedModel(entities, shardArgsStorage(), defaults)
  const model = withLookups(sharded, { entities, lookups: lookupArgsStorage() }, defaults)
  refusals.throwAny()
  const groupOf = groupsOf(model)
  bindMetadata(
    metadatas.filter((metadata) => groupOf(metadata) !== undefined),
    (metadata) => ({ schema: placeholderSchema, name: metadata.tableName }),
  )
  checkGroups(model, options)
  checkSharedTables(metadatas, model, groupOf)
  return model
}

function checkGroups(model: ShardedModel, { groups = {} }: ShardedDataSourceOptions): void {
  const unknown = Object.keys(groups).find((name) => !model.groups.has(name))
  if (unknown !== undefined)
    throw new ShardedError('OPTIONS_INVALID', `groups names "${unknown}", and no entity is of that group.`, {
      details: { group: unknown },
    })
}
