import type { Node } from '@pgsql/types'
import type { Shard } from '../topology/shard'
import type { Arm } from './arm-source'

/** What a write asks of its shards: what SQL, query builders and repositories lower to. */
export type WriteQuery = StatementWrite | OperationWrite

interface AnyWrite {
  /** Whether the rows have an order on one database: `save` takes them kind by kind, other operations row by row. */
  readonly order: 'by-kind' | 'by-row' | undefined
}

/** A write whose statements are known before it runs. */
export interface StatementWrite extends AnyWrite {
  readonly kind: 'statement'
  readonly arms: readonly Arm[]
  /** Given where each shard's part is one UPDATE or DELETE, which may go to its node with those of other shards. */
  readonly united: UnitedWrite | undefined
  /** Shards that the statement of another shard writes too: both lie on one node. */
  readonly alsoWritten: readonly Shard[]
  readonly answer: WriteAnswer
}

/** A write whose statements TypeORM makes while it runs, as its subject builder does for entities. */
export interface OperationWrite extends AnyWrite {
  readonly kind: 'operation'
  readonly shards: readonly Shard[]
  /** Subscribers hear of it shard after shard, and are to hear of it as of one operation. */
  readonly isHeard: boolean
}

/** What is to be known of statements that may be united. */
export interface UnitedWrite {
  /** A table has a column whose type (an enum) each shard declares for itself. */
  readonly hasOwnTypes: boolean
}

/** How the answers of shards become the answer of the whole. The counts of affected rows are summed. */
export type WriteAnswer =
  /** The answer of the one statement, as it is. */
  | { readonly kind: 'own' }
  /** Rows of RETURNING follow each other in the order of the shards. */
  | { readonly kind: 'update' | 'insert' }
  /** Rows of RETURNING stand in the order of VALUES, where each row gave one. `places`: those of the rows of each shard. */
  | { readonly kind: 'values'; readonly places: readonly (readonly number[])[] }
  /** Rows of RETURNING say their places in VALUES, in a column of ours: see `withRowPlaces`. */
  | { readonly kind: 'told-places'; readonly column: string }

/** The rows of VALUES, by the names of their columns. */
export interface InsertedRows {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Node[])[]
  /** The values of parameters. */
  readonly values: readonly unknown[]
}
