import type { UnitKeys } from '../functions/sharding-function'

/** A node that a coordinator asks. */
export interface FederatedNode {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string
  /** Undefined: the script says where it is to be put. */
  readonly password: string | undefined
  readonly ssl: boolean
}

/** A column, as a coordinator declares it. */
export interface FederatedColumn {
  readonly name: string
  /** As SQL names it. For an enum: that of the coordinator's own type, or an array of it. */
  readonly type: string
  readonly collation: string | undefined
  readonly isNullable: boolean
  /** Of an enum: its values in their order. */
  readonly enum?: { readonly type: string; readonly values: readonly string[]; readonly isArray: boolean }
}

/** Where some rows of a table are. */
export interface FederatedPart {
  /** Unique among the parts of all tables. */
  readonly name: string
  readonly node: string
  readonly schema: string
  readonly table: string
  /** The keys of its rows, where PostgreSQL can find the part of a key. */
  readonly keys?: UnitKeys
}

/** A table whose rows are those of its parts. */
export interface FederatedTable {
  readonly name: string
  readonly columns: readonly FederatedColumn[]
  readonly parts: readonly FederatedPart[]
  /** The column by which it is partitioned, where all parts say their keys. */
  readonly partitionKey: string | undefined
}

/** All that a coordinator is made of. */
export interface FederatedMap {
  /** The schema of the tables; that of their parts has `_parts` behind it. */
  readonly schema: string
  /** The node that is the coordinator; undefined: another database is. */
  readonly coordinator: string | undefined
  readonly epoch: number
  readonly nodes: readonly FederatedNode[]
  readonly tables: readonly FederatedTable[]
  /** Of types that extensions bring. */
  readonly extensions: readonly string[]
}
