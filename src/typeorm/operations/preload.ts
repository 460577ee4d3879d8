import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { PlainObjectToDatabaseEntityTransformer } from 'typeorm/query-builder/transformer/PlainObjectToDatabaseEntityTransformer'
import type { Shard } from '../../topology/shard'
import { keyOf } from '../binding/entity-binding'
import { loadedRelation, shardOfKey } from '../binding/entity-shards'
import { leadsApart } from '../binding/relation-apart'
import { locateRow } from '../reads/locate-rows'
import type { EntityWriter } from '../writes/entity-writer'
import { checkWidth, type OperationContext } from './operation-context'

/**
 * `preload`: the row of the object's primary key, with the object's values over it; undefined where there is none. TypeORM reads the rows
 * of related objects by their primary keys, too: those that lie with the row on its shard, all others wherever they are.
 */
export async function preload(context: OperationContext, like: ObjectLiteral): Promise<ObjectLiteral | undefined> {
  const { access, binding } = context
  const { metadata } = binding
  const [first] = binding.shards
  // Without a primary key TypeORM refuses, before it asks any database.
  if (first && !metadata.hasAllPrimaryKeys(like))
    return access.onShard(first, (manager: EntityWriter) => manager.preload(metadata.target, like))
  const elsewhere = targetsElsewhere(context, like)
  const load = (shard: Shard) =>
    access.onShard(shard, async (manager) => {
      const writer: EntityWriter = manager
      const entity: ObjectLiteral | undefined = await new PlainObjectToDatabaseEntityTransformer(
        elsewhere.size > 0 ? readingApart(manager, context.whole.related(), elsewhere) : manager,
      ).transform(like, metadata)
      if (entity) access.runtime.entityShards.remember(binding, entity, shard)
      return entity && writer.merge(metadata.target, entity, like)
    })
  const key = keyOf(binding, like)
  const found = key && (await load(shardOfKey(binding, key)))
  if (found || (key && (binding.entity.primaryKeyHoldsShardKey || !binding.entity.primaryKeyCheck))) return found
  if (!key) checkWidth(context, { name: 'preload', writes: false }, binding.shards.length)
  const located = await locateRow(access, binding, like)
  return located && load(located.shard)
}

/**
 * The entities of which an object reaches rows that may lie elsewhere than its own. TypeORM follows the relations of the object's entity, in
 * what it reaches by them as well, and follows a circle without end.
 */
function targetsElsewhere({ access, binding }: OperationContext, like: ObjectLiteral): ReadonlySet<unknown> {
  const found = new Set<unknown>()
  const visit = (object: ObjectLiteral, isElsewhere: boolean, above: readonly ObjectLiteral[]): void => {
    for (const relation of binding.metadata.relations) {
      const value: unknown = relation.getEntityValue(object)
      if (value === undefined || value === null) continue
      const { target } = relation.inverseEntityMetadata
      const leaves = isElsewhere || leadsApart(relation) || !access.runtime.bindingOf(target)
      if (leaves) found.add(target)
      for (const one of loadedRelation(relation, object)) if (!above.includes(one)) visit(one, leaves, [...above, one])
    }
  }
  visit(like, false, [like])
  return found
}

/** The manager of a shard, which reads some entities by a manager of all shards. */
const readingApart = (shard: EntityManager, all: EntityManager, elsewhere: ReadonlySet<unknown>): EntityManager =>
  new Proxy(shard, {
    get: (manager, name) =>
      name === 'getRepository'
        ? (target: EntityMetadata['target']) => (elsewhere.has(target) ? all : manager).getRepository(target)
        : Reflect.get(manager, name, manager),
  })
