import type { EntityManager } from 'typeorm'
import type { OperationContext } from '../operations/operation-context'
import { preload } from '../operations/preload'
import * as inserts from '../operations/sharded-inserts'
import * as reads from '../operations/sharded-reads'
import * as writes from '../operations/sharded-writes'
import type { Criteria } from '../writes/criteria'

/**
 * How an operation of TypeORM's manager, which takes an entity first, is done on the shards of the entity.
 *
 * @param given what the caller gave after the entity
 * @param checked criteria as TypeORM reads them, and refuses them
 * @returns undefined where TypeORM's own way is taken, whose statements are routed one by one
 */
type RoutedOperation<Name extends keyof EntityManager> = EntityManager[Name] extends (
  target: never,
  ...given: infer Given
) => infer Result
  ? (context: OperationContext, given: Given, checked: (criteria: unknown) => Criteria) => Result | undefined
  : never

const softDeletion =
  (name: 'softDelete' | 'restore'): RoutedOperation<'softDelete'> =>
  (context, [criteria], checked) => {
    const own = checked(criteria)
    return writes.isWhole(context, own) ? undefined : writes.softDeleteBy(context, name, own)
  }

/** Every operation of TypeORM's manager that is routed by its entity, with how it is done on shards. */
export const routedOperations = {
  find: (context, [options = {}]) => reads.find(context, options),
  findBy: (context, [where]) => reads.find(context, { where }),
  findAndCount: (context, [options = {}]) => reads.findAndCount(context, options),
  findAndCountBy: (context, [where]) => reads.findAndCount(context, { where }),
  // Without a condition TypeORM refuses, before it asks any database.
  findOne: (context, [options]) => (options.where ? reads.findOne(context, options) : undefined),
  findOneBy: (context, [where]) => reads.findOne(context, { where }),
  count: (context, [options = {}]) => reads.count(context, options),
  countBy: (context, [where]) => reads.count(context, { where }),
  exists: (context, [options = {}]) => reads.exists(context, options),
  existsBy: (context, [where]) => reads.exists(context, { where }),
  sum: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'SUM', propertyPath, where }),
  average: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'AVG', propertyPath, where }),
  minimum: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'MIN', propertyPath, where }),
  maximum: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'MAX', propertyPath, where }),
  preload: (context, [entityLike]) => preload(context, entityLike),
  insert: (context, [rows]) => inserts.insert(context, rows),
  upsert: (context, [rows, options]) => inserts.upsert(context, rows, options),
  update: (context, [criteria, values, options], checked) => {
    const own = checked(criteria)
    return writes.isWhole(context, own, values) ? undefined : writes.update(context, own, { values, options })
  },
  updateAll: (context, [values, options]) =>
    writes.isWhole(context, { criteria: {}, isPrimitive: false }, values)
      ? undefined
      : writes.updateAll(context, values, options),
  delete: (context, [criteria], checked) => {
    const own = checked(criteria)
    return writes.isWhole(context, own) ? undefined : writes.deleteBy(context, own)
  },
  deleteAll: (context) => writes.deleteAll(context),
  softDelete: softDeletion('softDelete'),
  restore: softDeletion('restore'),
  clear: (context, [options]) => writes.clear(context, options),
} satisfies { readonly [Name in keyof EntityManager]?: RoutedOperation<Name> }

export type RoutedName = keyof typeof routedOperations

export const routedNames: readonly RoutedName[] = Object.keys(routedOperations).filter(isRouted)

function isRouted(name: string): name is RoutedName {
  return name in routedOperations
}

/** The operations that the end of a transaction waits for. */
export const operationNames = [
  ...routedNames,
  'findOneOrFail',
  'findOneByOrFail',
  'findPage',
  'save',
  'remove',
  'softRemove',
  'recover',
  'move',
  'load',
  'increment',
  'decrement',
]
