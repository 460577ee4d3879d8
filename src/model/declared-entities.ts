import type { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import type { BoundFunction } from '../functions/sharding-function'
import { type ShardedIdKind, shardedIdKinds } from '../ids/sharded-id-kind'
import type { ColumnDescription, EntityDescription } from './entity-description'
import type { IdColumn } from './sharded-entity'
import type { EntityTarget, ShardArgsStorage, ShardedArgs, ShardedIdArgs, ShardKeyArgs } from './sharded-options'

/** An entity that is declared sharded. */
export interface DeclaredEntity {
  readonly entity: EntityDescription
  readonly args: ShardedArgs
  readonly keyColumns: readonly ColumnDescription[]
}

/** The entities that are declared sharded; one whose shard key is refused has no key columns here. */
export function declaredEntities(
  entities: readonly EntityDescription[],
  storage: ShardArgsStorage,
  refusals: Refusals,
): ReadonlyMap<EntityTarget, DeclaredEntity> {
  const declared = new Map<EntityTarget, DeclaredEntity>()
  for (const entity of entities) {
    const args = findShardedArgs(storage, entity.parent ?? entity.target)
    if (args) {
      const found = refusals.attempt(() => keyColumnsOf(storage, entity)) ?? []
      const isValid = refusals.attemptAll(found.map((column) => () => checkKeyColumn(entity, column)))
      const keyColumns = isValid ? found : []
      declared.set(entity.target, { entity, args, keyColumns })
    } else refusals.attempt(() => refuseIdColumns(storage, entity))
  }
  return declared
}

function keyColumnsOf(storage: ShardArgsStorage, entity: EntityDescription): readonly ColumnDescription[] {
  const keyColumns = findKeyColumns(storage, entity)
  // What is wrong with a hidden key has been said where its columns are made.
  if (keyColumns.length === 0 && storage.hiddenKeys?.some((args) => inherits(entity.target, args.target))) return []
  if (keyColumns.length === 0) {
    throw new ShardedError(
      'ENTITY_WITHOUT_SHARD_KEY',
      `${entity.name} is @Sharded, but none of its columns is marked.`,
      { details: { entity: entity.name } },
    )
  }
  return keyColumns
}

function checkKeyColumn(
  { name, parent }: EntityDescription,
  { propertyPath, type, keyType, writtenBy }: ColumnDescription,
): void {
  // A child of single-table inheritance has its columns in its root's table: what is wrong with them is said of the root.
  if (parent !== undefined) return
  const details = { entity: name, column: propertyPath, type }
  if (writtenBy !== undefined)
    throw new ShardedError('KEY_COLUMN_INVALID', `${name}.${propertyPath} cannot be a shard key: ${writtenBy}.`, {
      details,
    })
  if (keyType) return
  throw new ShardedError('KEY_TYPE_UNSUPPORTED', `${name}.${propertyPath} of type ${type} cannot be a shard key.`, {
    details,
  })
}

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
interface IdDeclaration {
  readonly column: ColumnDescription
  readonly args: ShardedIdArgs
}

/** The columns that `@ShardedId` marks; of several declarations for one column, the last. */
function findIdColumns(storage: ShardArgsStorage, entity: EntityDescription): readonly IdDeclaration[] {
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

const bigints = ['bigint', 'int8']

const columnTypes: Readonly<Record<ShardedIdKind, readonly string[]>> = {
  '64-bit': bigints,
  '53-bit': [...bigints, 'double precision', 'float8', 'float'],
  uuid: ['uuid'],
  sequence: [...bigints, 'integer', 'int', 'int4', 'smallint', 'int2'],
}

/**
 * The column of a sharded entity whose values `@ShardedId` makes; undefined where it marks none.
 *
 * @throws ShardedError ID_COLUMN_INVALID
 */
export function idColumnOf(
  storage: ShardArgsStorage,
  entity: EntityDescription,
  { fn, keyColumns }: { readonly fn: BoundFunction; readonly keyColumns: readonly ColumnDescription[] },
): IdColumn | undefined {
  const [declared, another] = findIdColumns(storage, entity)
  if (!declared) return undefined
  const { column, args } = declared
  const { propertyPath, keyType, type, isPrimary, relationProperty, writtenBy } = column
  const { kind } = args
  if (another) throw invalidId(entity, another.column, `it is the second one, after ${propertyPath}`)
  if (!shardedIdKinds.includes(kind)) throw invalidId(entity, column, `there is no kind ${JSON.stringify(kind)}`)
  // A row is given an id where it has none: of another column it would not be known whether there is a row already.
  if (!isPrimary) throw invalidId(entity, column, 'it is no column of the primary key')
  if (relationProperty !== undefined) throw invalidId(entity, column, 'it is the join column of a relation')
  // What is made would not be what is stored.
  if (writtenBy !== undefined) throw invalidId(entity, column, writtenBy)
  if (!keyType || !columnTypes[kind].includes(type))
    throw invalidId(
      entity,
      column,
      `ids of kind ${kind} need a column of type ${columnTypes[kind].join(', ')}, not ${type}`,
    )
  const hasSlots = fn.spaces.some((space) => space.kind === 'slots')
  const carriesSlot = kind !== 'sequence' && hasSlots && !keyColumns.includes(column)
  return Object.freeze({ propertyPath, type: keyType, kind, carriesSlot })
}

/** @throws ShardedError ID_COLUMN_INVALID for an entity whose rows have no shard key, and so no slot */
function refuseIdColumns(storage: ShardArgsStorage, entity: EntityDescription): void {
  const [declared] = findIdColumns(storage, entity)
  if (declared) throw invalidId(entity, declared.column, 'the entity is not sharded')
}

function invalidId(entity: EntityDescription, { propertyPath, type }: ColumnDescription, reason: string): ShardedError {
  return new ShardedError('ID_COLUMN_INVALID', `${entity.name}.${propertyPath} cannot be a @ShardedId: ${reason}.`, {
    details: { entity: entity.name, column: propertyPath, type },
  })
}
