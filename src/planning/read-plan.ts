import type { Row } from '../merging/row'
import type { ArmSource } from '../query/arm-source'
import type { OrderTerm } from '../query/order-term'
import type { KeySource } from '../query/page-query'
import type { Shard } from '../topology/shard'
import type { OrderedVisit } from './ordered-shards'
import type { PageStrategyChoice } from './page-strategy'
import type { PivotSearchInput } from './pivot-search'
import type { NodeStatement } from './scatter-statement'

/**
 * How the rows of a read over several shards are found. A plan is a frozen tree of data: `executeRead` and `explainPlan`
 * are two folds over it, so that an explanation cannot say anything else than what runs.
 *
 * To add a node: add it to this union. The compiler then names each fold that must handle it; `streamRead` runs whole what it does
 * not know.
 */
export type ReadPlan =
  | RoutePlan
  | MergePlan
  | SharesPlan
  | AppendPlan
  | VisitPlan
  | SeekPlan
  | LoadByKeyPlan
  | ProjectPlan
  | FinishPlan

/** A leaf: the statements of all nodes, sent at once. Its rows follow each other, statement after statement. */
export interface RoutePlan {
  readonly kind: 'route'
  readonly statements: readonly NodeStatement[]
}

/** The rows that a node cuts from its source. */
export interface Cut {
  readonly offset: number
  readonly limit: number | undefined
}

/** Merges the sorted answers of a route. */
export interface MergePlan extends Cut {
  readonly kind: 'merge'
  readonly source: RoutePlan
  readonly order: readonly OrderTerm[]
  /** Where questions about the order are asked: ranks of texts, types in the catalog. */
  readonly shard: Shard
}

/**
 * Merges answers of which each was asked for about its share of the page only, by the values that the driver gives. Where
 * that does not tell the page (a share was too small, values may differ below the driver's precision), `otherwise` runs.
 */
export interface SharesPlan extends Cut {
  readonly kind: 'shares'
  readonly source: RoutePlan
  readonly order: readonly OrderTerm[]
  readonly limit: number
  /** Rows that each statement is asked for. */
  readonly asked: number
  readonly otherwise: Deferred<ReadPlan>
}

/** A part of a plan that is made when it is first needed. It depends on nothing but what the plan was made of. */
export interface Deferred<T> {
  get(): T
}

export const deferred = <T>(make: () => T): Deferred<T> => {
  let made: { readonly value: T } | undefined
  return Object.freeze({
    get: () => {
      made ??= { value: make() }
      return made.value
    },
  })
}

/** Concatenates the answers of a route in the order of the shards. */
export interface AppendPlan extends Cut {
  readonly kind: 'append'
  readonly source: RoutePlan
}

/** Reads shards whose rows follow each other in the order of the page, shard after shard, until the page is full. */
export interface VisitPlan extends Cut {
  readonly kind: 'visit'
  readonly rows: ArmSource
  /** Arms whose rows are counted to skip whole shards; undefined where the offset is small. */
  readonly counted: ArmSource | undefined
  readonly visit: OrderedVisit
  readonly limit: number
  /** The term whose witness proves that the shards follow each other. */
  readonly key: OrderTerm | undefined
}

/** Finds the start of a page by counting, then reads keys from there: see `searchPivot`. */
export interface SeekPlan extends Cut {
  readonly kind: 'seek'
  readonly keys: KeySource
  readonly search: PivotSearchInput
  readonly limit: number
  readonly shard: Shard
  /** Runs where rows that are written meanwhile do not let the search end. */
  readonly otherwise: Deferred<ReadPlan>
}

/** Fetches rows by the keys `__p0 …` that its source gives, one statement a node, and keeps the order of the keys. */
export interface LoadByKeyPlan {
  readonly kind: 'load-by-key'
  readonly keys: ReadPlan
  /** Arms with a `KeyList` in place of the parameter for each key column. */
  readonly arms: ArmSource
}

/** Keeps some columns of the rows. */
export interface ProjectPlan {
  readonly kind: 'project'
  readonly source: ReadPlan
  readonly columns: readonly string[]
  /** What the columns are called then; default: as they were. */
  readonly names?: readonly string[]
}

/** Sends the columns of a route's rows to one node as arrays, where PostgreSQL finishes the statement. */
export interface FinishPlan {
  readonly kind: 'finish'
  readonly source: RoutePlan
  readonly statement: NodeStatement
  /** In one line, for `explain`. */
  readonly step: string
}

/** The place of a column of the source's rows among the parameters of a finishing statement. */
export class ColumnArray {
  /** @param input which of several sources */
  constructor(
    readonly column: string,
    readonly input = 0,
  ) {
    Object.freeze(this)
  }
}

/** The values of a finishing statement, once its sources' rows are there. */
export const withColumnArrays = (
  parameters: readonly unknown[],
  inputs: readonly (readonly Row[])[],
): readonly unknown[] =>
  parameters.map((value) =>
    value instanceof ColumnArray ? (inputs[value.input] ?? []).map((row) => row[value.column]) : value,
  )

/**
 * How a find over several shards is answered: the rows of `source` become entities, or are the primary keys by which TypeORM
 * loads the entities, shard by shard.
 */
export interface EntitiesPlan {
  readonly kind: 'entities'
  readonly entity: string
  readonly page: PageStrategyChoice
  readonly source: ReadPlan
  readonly load: 'rows' | 'by-key'
}

export const route = (statements: readonly NodeStatement[]): RoutePlan => Object.freeze({ kind: 'route', statements })

/** For the end of a switch over a union: the compiler reports a kind that is not handled. */
export const assertNever = (value: never): never => {
  throw new TypeError(`Unexpected value ${JSON.stringify(value)}.`)
}
