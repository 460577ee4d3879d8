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
import { addHiddenKeys } from '../binding/hidden-keys'
import { markRelationsApart } from '../binding/relation-apart'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ReadStatement } from '../statements/statement-run'
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
  const declared = shardArgsStorage()
  const hiddenKeys = addHiddenKeys(metadatas, declared, refusals)
  const storage = hiddenKeys.length > 0 ? { ...declared, shardKeys: [...declared.shardKeys, ...hiddenKeys] } : declared
  const entities = describeEntities(metadatas)
  const defaults = {
    refusals,
    layout: options.layout ?? 'schema',
    scatter: options.scatter ?? {},
    primaryKeyCheck: options.primaryKeyCheck ?? true,
    groups: options.groups ?? {},
    doesOnDelete: options.onDelete === 'application',
  } as const
  const sharded = buildShardedModel(entities, storage, defaults)
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
 * Looks at the views of the home node: PostgreSQL makes a view of tables of its own database, and rows of shards are not all in one. A
 * view over shards is made nowhere, and its query stands for its name. One that is to keep its rows would have to be made.
 */
export async function bindViews(dataSource: DataSource, { runtime, statements, refusals }: ViewParts): Promise<void> {
  let views = dataSource.entityMetadatas.filter(
    ({ tableType, target }) => tableType === 'view' && !runtime.bindingOf(target),
  )
  // What names a view over shards is one, too.
  for (let before = -1; before !== views.length; ) {
    before = views.length
    const others: EntityMetadata[] = []
    for (const view of views) {
      const { expression, schema, tableName: name } = view
      const text = typeof expression === 'function' ? expression(dataSource).getQuery() : expression
      const read = text === undefined ? undefined : await statements.understand(text)
      if (text === undefined || !read) others.push(view)
      else if (view.tableMetadataArgs.materialized) refusals.attempt(() => refuseMaterialized(view, read))
      else await statements.define({ schema, name, text })
    }
    views = others
  }
}

function refuseMaterialized({ name }: EntityMetadata, { analysis }: ReadStatement): never {
  const tables = [...new Set(analysis.uses.map(({ table }) => table.name))]
  throw new ShardedError(
    'VIEW_OVER_SHARDS',
    `The materialized view ${name} reads ${tables.join(', ')}, whose rows are on shards.`,
    { details: { entity: name, tables } },
  )
}
