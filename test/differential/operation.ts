import type { Configuration } from './configurations'
import type { Data, DataObject } from './data'
import type { EntityName } from './entities'

/** How the answers of both sides are compared. */
export type Comparison =
  | 'exact'
  /** The order is not total: positions by sort key, rows of one sort key as a set, ties at the cut of a page not at all. */
  | { readonly sortedBy: readonly string[]; readonly isPaged: boolean }
  /** Any of the matching rows will do: whether there is one, and what properties it has. */
  | 'one-of-many'

/** A method of the repository. */
export interface Call {
  readonly do: 'call'
  readonly entity: EntityName
  readonly method: string
  readonly args: readonly Data[]
  readonly compare: Comparison
}

/** Entities are loaded, changed in place, perhaps joined by new ones, and given to `save`, `remove`, … */
export interface Loaded {
  readonly do: 'loaded'
  readonly entity: EntityName
  readonly find: DataObject
  /** The n-th entity gets the n-th change, round and round. */
  readonly changes: readonly DataObject[]
  /** Given as well; instances or plain objects. */
  readonly also: readonly Data[]
  /** New children for the first entity, and how many of its old ones go. */
  readonly children?: { readonly property: string; readonly add: readonly Data[]; readonly drop: number }
  readonly method: 'save' | 'remove' | 'softRemove' | 'recover'
  /** The first entity by itself instead of a list. */
  readonly isSingle: boolean
}

export type Operation = Call | Loaded

export interface Rows {
  readonly entity: EntityName
  readonly rows: readonly DataObject[]
}

/** All that is needed to see a difference again. */
export interface Case {
  readonly configuration: Configuration
  readonly group: string
  readonly seed: readonly Rows[]
  readonly operations: readonly Operation[]
}

const reading = new Set([
  'find',
  'findBy',
  'findAndCount',
  'findAndCountBy',
  'findOne',
  'findOneBy',
  'findOneOrFail',
  'findOneByOrFail',
  'count',
  'countBy',
  'exists',
  'existsBy',
  'sum',
  'average',
  'minimum',
  'maximum',
  'preload',
])

export const isRead = (operation: Operation): boolean => operation.do === 'call' && reading.has(operation.method)
