import type { ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { sqlState } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import type { Shard } from '../../topology/shard'
import { type EntityBinding, keyOf } from '../binding/entity-binding'
import { loadedRelation } from '../binding/entity-shards'
import { primaryKeyText, rowText } from '../binding/primary-key-text'
import { leadsApart } from '../binding/relation-apart'
import { type Located, locateRows, type RowSource } from '../reads/locate-rows'
import type { ShardAccess } from '../runners/shard-access'
import type { RowMove } from './carry-row'
import type { BindingOf, GraphNode } from './entity-graph'
import type { PlacedEntity } from './place-entities'

/** SQLSTATE of a row that a foreign key refers to and that is not there. */
const missingReference = '23503'

/** An object that a save writes, and another one whose row it refers to. */
interface Reference {
  readonly from: GraphNode
  readonly shard: Shard
  readonly relation: RelationMetadata
  readonly to: GraphNode
  /** Whether the row that refers moves to the shard before the save inserts anything there. */
  readonly moves: boolean
}

/**
 * What a failed save is to throw. A foreign key sees the rows of its own shard only: where a row that is missing there lies on another
 * shard, or is inserted by the same save that moves the row that refers to it, one database would not have failed. The rows are
 * looked up only then; in a transaction of the caller, which the error has ended, as they are committed.
 *
 * @returns ShardedError KEY_CONFLICT; else the error
 */
export async function explainMissing(
  access: ShardAccess,
  placed: readonly PlacedEntity[],
  error: unknown,
): Promise<unknown> {
  if (sqlState(error) !== missingReference) return error
  const references = placed.flatMap((one) => referencesOf(one, (target) => access.runtime.bindingOf(target)))
  const source = access.transaction ? committedRows(access) : access
  const saved = new Set(placed.flatMap(({ graph }) => graph.map((node) => rowText(node.binding.metadata, node.entity))))
  for (const reference of references) {
    const { binding, entity } = reference.to
    // Whatever this look-up meets, the caller's error is the one of the save.
    const located = await locateRows(source, binding, [entity]).catch(() => new Map<string, readonly Located[]>())
    const rows = located.get(primaryKeyText(binding.metadata, entity)) ?? []
    if (rows.length === 0 && reference.moves && saved.has(rowText(binding.metadata, entity)))
      return newOwner(reference, error)
    const [row] = rows
    if (row && rows.every(({ shard }) => shard !== reference.shard)) return farRow(reference, row, error)
  }
  return error
}

function referencesOf({ graph, shard, own }: PlacedEntity, bindingOf: BindingOf): readonly Reference[] {
  const moves = new Map(own.map((move) => [move.entity, move]))
  return graph.flatMap((from) => {
    const move = moves.get(from.entity)
    return from.binding.metadata.relations.flatMap((relation) => {
      const binding = bindingOf(relation.inverseEntityMetadata.target)
      if (!binding || leadsApart(relation)) return []
      return referred(relation, from.entity, move)
        .filter((entity) => binding.metadata.hasAllPrimaryKeys(entity))
        .map((entity) => ({ from, shard, relation, to: { binding, entity }, moves: move !== undefined }))
    })
  })
}

/** The objects that an entity refers to: of a relation, or of its join columns alone, as a move sets them. */
function referred(
  relation: RelationMetadata,
  entity: ObjectLiteral,
  move: RowMove | undefined,
): readonly ObjectLiteral[] {
  if (relation.isManyToMany) return loadedRelation(relation, entity)
  if (!relation.isOwning) return []
  const id: ObjectLiteral = {}
  for (const column of relation.joinColumns) {
    const value: unknown = move?.sets.get(column) ?? column.getEntityValue(entity)
    column.referencedColumn?.setEntityValue(id, value)
  }
  return [id]
}

/** Asks for rows outside of every transaction, on connections that no caller waits for. */
const committedRows = ({ runtime }: ShardAccess): RowSource => ({
  runtime,
  query: (statements) =>
    Promise.all(
      statements.map(async ({ node, text, parameters }) => {
        const { rows } = await runtime.pool(node).background.query(text, [...parameters])
        return rows
      }),
    ),
})

const farRow = ({ from, relation, to }: Reference, row: Located, cause: unknown): ShardedError =>
  new ShardedError(
    'KEY_CONFLICT',
    `${from.binding.entity.name}.${relation.propertyPath}: ${from.binding.entity.name} has shard key ${keyTextOf(from.binding, from.entity)}, the row of ${to.binding.entity.name} has ${row.key?.join(', ')}.`,
    {
      details: {
        entity: from.binding.entity.name,
        relation: relation.propertyPath,
        keys: [keyOf(from.binding, from.entity), row.key],
      },
      cause,
    },
  )

const keyTextOf = (binding: EntityBinding, entity: ObjectLiteral): string =>
  keyOf(binding, entity)?.join(', ') ?? 'none'

const newOwner = ({ from, relation, to }: Reference, cause: unknown): ShardedError =>
  new ShardedError(
    'KEY_CONFLICT',
    `${from.binding.entity.name}.${relation.propertyPath}: a row of ${from.binding.entity.name} moves before the ${to.binding.entity.name} that it is to refer to is inserted.`,
    {
      details: { entity: from.binding.entity.name, relation: relation.propertyPath },
      fix: `Save the ${to.binding.entity.name} first, and then what moves to it.`,
      cause,
    },
  )
