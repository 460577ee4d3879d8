import type { ShardedEntity } from '../model/sharded-entity'
import type { UnitOwners } from '../topology/unit-owners'
import type { ColumnType } from '../values/key-type'
import type { PlacedEntity } from './route'

/**
 * Columns whose values tell the shard of a row: rows that agree in locators of one domain lie on one shard. The shard key
 * is one, the primary key another (it is unique over all shards), a foreign key to a table of the group a third.
 */
export interface Locator {
  /** What the values mean: `key of user`, `order (id)`. */
  readonly domain: string
  /** Names of columns in the database, in an order that is the same for all locators of the domain. */
  readonly columns: readonly string[]
}

/** A foreign key to a table of the same group: both rows lie on one shard. */
export interface Reference {
  readonly columns: readonly string[]
  readonly table: string
  readonly referenced: readonly string[]
  /** Those of its columns that hold the shard key of the row referred to; undefined where it is not among them. */
  readonly keyColumns: readonly string[] | undefined
}

/** The slot that a value carries; undefined for NULL and for what is no id of ours. */
export type SlotReader = (value: unknown) => number | undefined

export interface TableColumn {
  /** It is not NOT NULL. */
  readonly isNullable: boolean
  /** Of a column of times, PostgreSQL's short name of its type. */
  readonly timeType: string | undefined
  /** What tells the value that it stores from the one that it is given; undefined: its type is none of a key. */
  readonly type: ColumnType | undefined
  /** Of a column of arrays, the type of their elements in SQL. */
  readonly elementType?: string | undefined
}

/** A sharded table as SQL sees it. */
export interface ShardedTable {
  /** The logical name, as in the entity. */
  readonly name: string
  readonly group: string
  /** Which shards of the group own what. */
  readonly owners: UnitOwners
  /** The entity whose rows it holds; for tables without one (junctions), the entity that its key is of. */
  readonly entity: ShardedEntity | undefined
  /** It holds the rows of an entity; junction and closure tables lie where the rows are that they refer to. */
  readonly isOwn: boolean
  /** The columns that hold the shard key, in the sharding function's order; none where rows are found by locators only. */
  readonly keyColumns: readonly string[]
  /** Columns that hold ids of `@ShardedId`, the table's own or by a foreign key, and the slot of the row that a value tells. */
  readonly slotColumns: ReadonlyMap<string, SlotReader>
  /** The column whose values `@ShardedId` makes; of tables that are an entity's own. */
  readonly idColumn: string | undefined
  readonly locators: readonly Locator[]
  /** Its foreign keys to tables of the group. */
  readonly references: readonly Reference[]
  /** The table's columns in order. */
  readonly columns: ReadonlyMap<string, TableColumn>
  /** Names of the primary key's columns. */
  readonly primaryKey: readonly string[]
  /** It has columns whose type (an enum) each shard declares for itself. */
  readonly hasOwnTypes: boolean
  /** Columns of the shard key that the application does not know of: no `*` may give them. */
  readonly hiddenColumns: ReadonlySet<string>
  /** Columns that refer to the row whose shard key the hidden columns repeat. */
  readonly keySources: ReadonlySet<string>
  /** Columns whose default is a generated uuid, which may as well be made here. */
  readonly uuidDefaults: ReadonlySet<string>
}

/** Whether rows of a table are placed by a shard key that they have. */
export const isPlaced = (table: ShardedTable): table is ShardedTable & PlacedEntity => table.entity !== undefined

/** Finds the sharded tables that a statement names. */
export interface TableCatalog {
  /**
   * The sharded table that a name means, as on one database: one of another schema, or that is not on the search path, is
   * not meant.
   *
   * @param schema as written; undefined where the name is not qualified
   */
  table(schema: string | undefined, name: string): ShardedTable | undefined
  /** Whether a name of this schema may be of a sharded table, or of a type of one. */
  isOfSharded(schema: string | undefined): boolean
  /** Columns of an unsharded table of the home node, in order; undefined for what is not known. */
  homeColumns(schema: string | undefined, name: string): readonly string[] | undefined
  /** Whether every node has a full copy of an unsharded table. */
  isReference(schema: string | undefined, name: string): boolean
  /** Names of the types (enums) that only sharded tables have: each shard declares them for itself. */
  readonly types: ReadonlySet<string>
  /** The names of all sharded tables. */
  readonly names: readonly string[]
}
