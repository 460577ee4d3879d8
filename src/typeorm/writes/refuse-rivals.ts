import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { primaryKeyText, rowText } from '../binding/primary-key-text'
import type { RowMove } from './carry-row'
import type { GraphNode, LinkedNode } from './entity-graph'

/** What one object of a save has to do with rows that move. */
interface Claims {
  readonly shard: Shard
  readonly graph: readonly GraphNode[]
  /** The tied objects whose rows are there. */
  readonly links: readonly LinkedNode[]
  readonly moves: readonly RowMove[]
}

const textOf = ({ binding, entity }: GraphNode): string => rowText(binding.metadata, entity)

const saveApart = 'Save one of the two at a time: first the object that the row goes to.'

/**
 * Refuses a save in which two objects have a say in where a row goes: the order in which TypeORM writes them on one database is not that
 * of several shards.
 *
 * @throws ShardedError DUPLICATE_PRIMARY_KEY, KEY_CONFLICT
 */
export function refuseRivals(claims: readonly Claims[]): void {
  const moves = claims.flatMap((one) => one.moves)
  if (moves.length === 0) return
  refuseTwins(claims, moves)
  refuseTwoOwners(claims, moves)
  for (const move of moves) refuseOldOwner(claims, move)
}

/** An object for a row that another object of the call moves would be placed by where the row was, and make a second one. */
function refuseTwins(claims: readonly Claims[], moves: readonly RowMove[]): void {
  const moved = new Map(moves.map((move) => [textOf(move), move]))
  for (const node of claims.flatMap(({ graph }) => graph)) {
    const move = node.binding.metadata.hasAllPrimaryKeys(node.entity) ? moved.get(textOf(node)) : undefined
    if (!move || move.entity === node.entity) continue
    const { entity, metadata } = node.binding
    throw new ShardedError(
      'DUPLICATE_PRIMARY_KEY',
      `${entity.name}.save is given two objects with one primary key, and one of them moves the row to another ${keyText(entity)}.`,
      { details: { entity: entity.name, key: metadata.getEntityIdMap(node.entity) } },
    )
  }
}

/** A row that moves, and is tied on two shards: the last UPDATE of one database decides, and shards are written at once. */
function refuseTwoOwners(claims: readonly Claims[], moves: readonly RowMove[]): void {
  const moved = new Set(moves.map(textOf))
  const targets = new Map<string, Shard>()
  for (const { shard, links, moves: own } of claims) {
    for (const claim of [...own, ...links]) {
      const text = textOf(claim)
      if (!moved.has(text)) continue
      if ((targets.get(text) ?? shard) !== shard) refuse(claim, 'is tied to objects of two shards in one save')
      targets.set(text, shard)
    }
  }
}

/** A row that moves, and that its old owner may give up in the same save: on one database it would then be an orphan. */
function refuseOldOwner(claims: readonly Claims[], move: RowMove): void {
  for (const { shard, graph } of claims) {
    if (shard !== move.from) continue
    for (const { binding, entity } of graph) {
      const relation = binding.metadata.relations.find(
        (one) =>
          one.inverseEntityMetadata.tableName === move.binding.metadata.tableName &&
          makesOrphans(one, one.getEntityValue(entity)),
      )
      if (!relation) continue
      refuse(move, `leaves a shard where ${binding.entity.name}.${relation.propertyPath} is saved too`)
    }
  }
}

/** Whether TypeORM looks for rows that a relation with this value has lost. */
function makesOrphans(relation: RelationMetadata, value: unknown): boolean {
  if (value === undefined || !relation.persistenceEnabled) return false
  if (relation.isOneToOneNotOwner) return value === null
  return relation.isOneToMany && relation.inverseRelation?.orphanedRowAction !== 'disable'
}

function refuse({ binding, entity }: GraphNode, why: string): never {
  const { name } = binding.entity
  throw new ShardedError('KEY_CONFLICT', `${name} ${primaryKeyText(binding.metadata, entity)} ${why}.`, {
    details: { entity: name, key: binding.metadata.getEntityIdMap(entity) },
    fix: saveApart,
  })
}
