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
  | RawComparison

/** Raw rows. */
export interface RawComparison {
  /** `set` where the statement has no total order: the rows of both sides are sorted before. Lists in an object likewise. */
  readonly rows: 'ordered' | 'set'
  /** Columns whose value one database adds up in any order: floats, compared to a relative 1e-12. */
  readonly close: readonly string[]
  /** Columns where any of several equal values will do: 1.1 or 1.10, 0 or -0, one day or 24 hours. */
  readonly loose: readonly string[]
}

/** A method of the repository. */
export interface Call {
  readonly do: 'call'
  readonly entity: EntityName
  readonly method: string
  readonly args: readonly Data[]
  /** What the very objects of the arguments are changed into as soon as the call was made. */
  readonly changedTo?: readonly Data[]
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
  /** Unique values go from row to row: to the one before, to the one behind, in a circle, or from the first to a new row. */
  readonly hands?: 'up' | 'down' | 'round' | 'new'
  readonly method: 'save' | 'remove' | 'softRemove' | 'recover' | 'upsert'
  /** The first entity by itself instead of a list. */
  readonly isSingle: boolean
}

/** Rows without ids: the sharded side makes them, and the other side is given what it made. */
export interface Made {
  readonly do: 'made'
  readonly entity: EntityName
  readonly method: 'insert' | 'save' | 'upsert' | 'values' | 'load'
  readonly rows: readonly DataObject[]
  /** From here on are ids to spare, for where none were made. */
  readonly spare: number
}

/** A query builder of the entity's repository: the calls that make it, and the one that runs it. */
export interface Build {
  readonly do: 'build'
  readonly entity: EntityName
  /** The alias, for a select. */
  readonly alias: string
  /** Each is the name of a method and its arguments. */
  readonly steps: readonly (readonly Data[])[]
  /** `getMany`, … or `execute` of an update, a delete, … */
  readonly method: string
  readonly isWrite: boolean
  readonly compare: Comparison
}

/** A statement given as SQL, clause by clause: a case can shrink so. */
export interface Sql {
  readonly do: 'sql'
  readonly entity: EntityName
  /** What the report calls it. */
  readonly method: string
  readonly clauses: readonly Clause[]
  readonly isWrite: boolean
  readonly compare: Comparison
}

export interface Clause {
  /** What stands before the parts, where there are any. */
  readonly head: string
  readonly between: string
  /** Each `?` stands for the next of `of`. */
  readonly parts: readonly Fragment[]
  /** A clause that stays as it is when a case is made smaller. */
  readonly isFixed?: boolean
  /** The clauses of one side of a set operation, which go all at once. */
  readonly side?: number
}

export interface Fragment {
  readonly sql: string
  readonly of: readonly Data[]
  /** A column that nothing else in the statement names: it may go from a fixed clause as well. */
  readonly mayGo?: boolean
}

/**
 * Operations inside one transaction, which commits or does not. An error ends it. Inside another one it is a savepoint,
 * and what comes of it does not end the outer one.
 */
export interface Transaction {
  readonly do: 'transaction'
  readonly entity: EntityName
  readonly method: 'transaction'
  readonly commits: boolean
  readonly operations: readonly Operation[]
}

export type Operation = Call | Loaded | Made | Build | Sql | Transaction

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

export function isRead(operation: Operation): boolean {
  if (operation.do === 'call') return reading.has(operation.method)
  return (operation.do === 'build' || operation.do === 'sql') && !operation.isWrite
}

/** A page past all rows that there can be. */
const isDeep = (options: unknown): boolean =>
  typeof options === 'object' && options !== null && 'skip' in options && Number(options.skip) >= 1e18

/** The name under which refusals and figures are kept. */
export function nameOfOperation(operation: Operation): string {
  if (operation.do === 'build') return `builder.${operation.method}`
  if (operation.do === 'call' && isDeep(operation.args[0])) return `${operation.method}.deep`
  return operation.do === 'made' ? `made.${operation.method}` : operation.method
}
