import type { ColumnDescription, EntityDescription } from './entity-description'
import type { EntityTarget, ShardArgsStorage, ShardedArgs, ShardedIdArgs, ShardKeyArgs } from './shard-args-storage'

const isClass = (target: EntityTarget): target is { prototype: object } => typeof target === 'function'

/** True when `target` is `ancestor` or extends it. */
export function inherits(target: EntityTarget, ancestor: EntityTarget): boolean {
  if (target === ancestor) return true
  return (
    isClass(target) && isClass(ancestor) && Object.prototype.isPrototypeOf.call(ancestor.prototype, target.prototype)
  )
}

/** The declaration nearest to the entity: its own, else that of the closest base class. */
export function findShardedArgs(storage: ShardArgsStorage, target: EntityTarget): ShardedArgs | undefined {
  let nearest: ShardedArgs | undefined
  for (const args of storage.sharded) {
    if (inherits(target, args.target) && (!nearest || inherits(args.target, nearest.target))) nearest = args
  }
  return nearest
}

/** The columns that `@ShardKey` marks, in the order of declaration; a base class's marks hold for its heirs. */
export function findKeyColumns(storage: ShardArgsStorage, entity: EntityDescription): readonly ColumnDescription[] {
  const found: ColumnDescription[] = []
  for (const args of storage.shardKeys) {
    for (const column of entity.columns) {
      if (marks(args, column, entity) && !found.includes(column)) found.push(column)
    }
  }
  return found
}

/** A column that `@ShardedId` marks, with what it said. */
export interface IdDeclaration {
  readonly column: ColumnDescription
  readonly args: ShardedIdArgs
}

/** The columns that `@ShardedId` marks; of several declarations for one column, the last. */
export function findIdColumns(storage: ShardArgsStorage, entity: EntityDescription): readonly IdDeclaration[] {
  const found = new Map<ColumnDescription, IdDeclaration>()
  for (const args of storage.ids ?? []) {
    for (const column of entity.columns) if (marks(args, column, entity)) found.set(column, { column, args })
  }
  return [...found.values()]
}

/** True where a property that a decorator marks is the entity's column: a base class's mark holds for its heirs. */
export function marks(args: ShardKeyArgs, column: ColumnDescription, entity: EntityDescription): boolean {
  return (
    (args.propertyName === column.propertyName || args.propertyName === column.relationProperty) &&
    (inherits(column.declaredOn, args.target) ||
      (inherits(args.target, column.declaredOn) && inherits(entity.target, args.target)))
  )
}
