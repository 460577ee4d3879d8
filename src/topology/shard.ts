/** One copy of a colocation group's tables on one node: the unit of routing, of migration and of moving. */
export interface Shard {
  /** `<group>_<label>`, unique in the shard map. */
  readonly name: string
  /** The colocation group. */
  readonly group: string
  /** Its label in the sharding function (`07`, `eu`, `2024_03`). */
  readonly label: string
  /** Its place among the labels of its sharding function. */
  readonly index: number
  readonly node: string
  /** A schema of its own, or a suffix to each table's name. */
  readonly layout: 'schema' | 'table'
  /** Of each other group that has shards on the node, one: by it the types of that group's tables are found there. */
  readonly beside?: ReadonlyMap<string, PlacedTables>
}

/** What names the tables of a shard. */
export type PlacedTables = Pick<Shard, 'name' | 'label' | 'layout'>
