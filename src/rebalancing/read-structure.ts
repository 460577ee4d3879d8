import type { Row } from '../merging/row'
import type { MoveNode } from './move-host'
import { inTransaction, onConnection, type Send } from './on-node'
import { placeOf, type ShardMove } from './shard-move'
import type { ShardStructure, StructureObject } from './shard-structure'
import { structureSql } from './structure-sql'

type Placed = Pick<ShardMove, 'layout' | 'tables'>

/** What a node has of a shard. */
export const readStructure = (node: MoveNode, move: Placed): Promise<ShardStructure> =>
  onConnection(node, (send) => inTransaction(send, () => readStructureIn(send, move)))

/** The same in a transaction with `plainTexts`. */
export async function readStructureIn(send: Send, move: Placed): Promise<ShardStructure> {
  const { rows } = await send(structureSql, placeOf(move))
  return rows.map(
    (row: Row): StructureObject => ({
      // The kinds are those that the query names.
      kind: row['kind'] as StructureObject['kind'],
      name: String(row['name']),
      make: String(row['make']),
      unmake: row['unmake'] === null ? null : String(row['unmake']),
    }),
  )
}
