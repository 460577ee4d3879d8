import type { Shard } from '../topology/shard'
import type { Resharding } from './resharding'
import type { MoveState } from './shard-move-state'
import type { ShardStructure } from './shard-structure'

/** A table of the shard. It has the same name on both nodes. */
export interface MovedTable {
  readonly schema: string
  readonly name: string
}

/** How far the rows of a table are. */
export interface TableProgress {
  readonly state: 'waiting' | 'copying' | 'copied'
  /** Rows that were copied so far; of a table that is copied, what the source's statistics say. */
  readonly rows: number
  readonly bytes: number
  /** The size of its rows at the source. */
  readonly ofBytes: number
  /** Of the copy, since it was looked at before. */
  readonly rowsPerSecond: number
}

/** How far a move is. */
export interface MoveProgress {
  readonly tables?: Readonly<Record<string, TableProgress>>
  /** Bytes of WAL that the target has not confirmed. */
  readonly lagBytes?: number
  readonly comparedRows?: number
  /** Rows that were written while they were compared: they are compared again. */
  readonly suspectRows?: number
  /** Times that the switch was given up, since a lock was not to be had or the target was too far behind. */
  readonly switchTries?: number
  /** Milliseconds for which the source's tables were locked by the switch. */
  readonly pauseMs?: number
  /** Of a resharding: rows that were copied, and changes that were noted and are not copied yet. */
  readonly copiedRows?: number
  readonly notes?: number
}

/** What only the driver needs, and another driver after it. */
export interface MoveMemory {
  /** Nothing was in the shard's place on the target before: what is there now may be dropped. */
  readonly isTargetOwn?: boolean
  /** The subscription and its tables, by their numbers on the target: slots of copies that break off are named by them. */
  readonly subscription?: { readonly oid: string; readonly relations: readonly string[] }
  /** What is run on the target when nothing is replicated any more. */
  readonly finals?: readonly string[]
  readonly isEpochCommitted?: boolean
  /** Of a resharding, by label: how each target is made, and what each source was at the beginning. */
  readonly structures?: Readonly<Record<string, ShardStructure>>
  readonly sourceStructures?: Readonly<Record<string, ShardStructure>>
  /** Tables that were copied, as `source.table` by their places; and how far the one is that is being copied. */
  readonly copied?: readonly string[]
  readonly cursor?: { readonly table: string; readonly after: readonly string[] }
  /** After the switch the old place follows the new one, so that the shard can go back. */
  readonly isReversible?: boolean
  /** What opens the old place again, but for the schema of its closing. */
  readonly opening?: readonly string[]
  readonly isReturnCommitted?: boolean
}

/** A shard on its way from one node to another, as the home node stores it. */
export interface ShardMove {
  readonly id: string
  /** The name of the shard. */
  readonly shard: string
  readonly group: string
  readonly layout: Shard['layout']
  readonly tables: readonly MovedTable[]
  /** Identities of the databases. */
  readonly from: string
  readonly to: string
  readonly state: MoveState
  /** Of the last try. */
  readonly error: string | undefined
  readonly progress: MoveProgress
  readonly memory: MoveMemory
  /** Undefined: the shard goes elsewhere as it is. */
  readonly resharding?: Resharding
  readonly startedAt: Date
  readonly changedAt: Date
  /** The process that works on it, and until when nobody else may. */
  readonly driver: string | undefined
  readonly drivenUntil: Date | undefined
  /** Of `wayBack` only. */
  readonly isWayBack?: true
}

/** The move the other way round, as the old place follows the new one: what replicates it has names of its own. */
export const wayBack = <T extends Pick<ShardMove, 'from' | 'to' | 'memory' | 'isWayBack'>>(move: T): T => ({
  ...move,
  from: move.to,
  to: move.from,
  // Rows are not copied, so there are no slots of copies. The numbers are another server's.
  memory: {},
  isWayBack: true,
})

/** What the subscription, the slot and the publication of a move are called. */
export const replicationName = ({ id, isWayBack }: Pick<ShardMove, 'id' | 'isWayBack'>): string =>
  `sharding_move_${id}${isWayBack ? '_back' : ''}`

/** PostgreSQL cuts names off behind so many bytes. */
const maxNameBytes = 63

/** The schema in which a move leaves the tables of a place, or what closes them there. */
export const movedSchema = ({ id, shard }: Pick<ShardMove, 'id' | 'shard'>): string => movedName({ id }, shard)

/** A name that is out of the way of its bearer in use. */
export function movedName({ id }: Pick<ShardMove, 'id'>, name: string): string {
  const suffix = `__moved_${id}`
  let kept = name
  while (Buffer.byteLength(kept) > maxNameBytes - suffix.length) kept = [...kept].slice(0, -1).join('')
  return `${kept}${suffix}`
}

/** Where the tables of a move are, as the queries of its structure take it. */
export const placeOf = ({
  layout,
  tables,
}: Pick<ShardMove, 'layout' | 'tables'>): readonly [string, string[] | null] => [
  tables[0]?.schema ?? '',
  layout === 'schema' ? null : tables.map(({ name }) => name),
]
