import type { DataSource, EntityMetadata } from 'typeorm'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { buildShardedModel } from '../../model/build-sharded-model'
import { type LookupModel, lookupArgsStorage } from '../../model/lookup'
import type { ShardedModel } from '../../model/sharded-entity'
import { shardArgsStorage } from '../../model/sharded-options'
import { withLookups } from '../../model/with-lookups'
import { placeholderSchema } from '../../planning/bind-shard-names'
import { bindMetadata } from '../binding/bind-metadata'
import { checkSharedTables } from '../binding/check-tables'
import { groupsOf } from '../binding/colocation-group'
import { describeEntities } from '../binding/describe-entities'
import { markRelationsApart } from '../binding/relation-apart'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { Statements } from '../statements/statements'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/**
 * The model of the entities, whose sharded tables stand in the placeholder schema from here on.
 *
 * @param refusals takes what is refused; the model then lacks it, and what is made of it is not to be used
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
    doesOnDelete: options.onDelete === 'application',
  } as const
  const sharded = buildShardedModel(entities, shardArgsStorage(), defaults)
  const model = withLookups(sharded, { entities, lookups: lookupArgsStorage() }, defaults)
  const groupOf = groupsOf(model)
  markRelationsApart(metadatas, model)
  bindMetadata(
    metadatas.filter((metadata) => groupOf(metadata) !== undefined),
    (metadata) => ({ schema: placeholderSchema, name: metadata.tableName }),
  )
  // Of a refused entity the group may be missing for that reason.
  if (refusals.isEmpty) refusals.attempt(() => checkGroups(model, options))
  checkSharedTables(metadatas, { model, groupOf, refusals })
  return model
}

function checkGroups(model: ShardedModel, { groups = {} }: ShardedDataSourceOptions): void {
  const unknown = Object.keys(groups).find((name) => !model.groups.has(name))
  if (unknown !== undefined)
    throw new ShardedError('OPTIONS_INVALID', `groups names "${unknown}", and no entity is of that group.`, {
      details: { group: unknown },
    })
}

interface ViewParts {
  readonly runtime: ShardRuntime
  readonly statements: Statements
  /** Takes what is refused of each view. */
  readonly refusals: Refusals
}

/**
 * Looks at the views of the home node: PostgreSQL makes a view of tables of its own database, and rows of shards are not all
 * in one. The query of the view, asked of the data source, reads them all.
 */
export async function refuseViews(dataSource: DataSource, { runtime, statements, refusals }: ViewParts): Promise<void> {
  const views = dataSource.entityMetadatas.filter(
    ({ tableType, target }) => tableType === 'view' && !runtime.bindingOf(target),
  )
  for (const { name, expression } of views) {
    const text = typeof expression === 'function' ? expression(dataSource).getQuery() : expression
    const read = text === undefined ? undefined : await statements.understand(text)
    if (!read) continue
    const tables = [...new Set(read.analysis.uses.map(({ table }) => table.name))]
    refusals.attempt(() => {
      throw new ShardedError(
        'VIEW_OVER_SHARDS',
        `The view ${name} reads ${tables.join(', ')}, whose rows are on shards.`,
        { details: { entity: name, tables } },
      )
    })
  }
}
