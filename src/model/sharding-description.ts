import type { Layout } from './sharded-options'

/**
 * Where rows are, seen from the row that has to do with them: on its own shard, in a reference table (a copy on every node), on the
 * home node, or on any shard.
 */
export type DescribedPlace = 'local' | 'reference' | 'home' | 'across shards'

/**
 * One thing that an entity declares, where it leads, and what it costs.
 *
 * @example
 * const gathered = describeSharding().entities.flatMap(({ parts }) => parts.filter(({ conditions }) => conditions === 'gather'))
 */
export interface DescribedPart {
  readonly kind:
    | 'relation'
    | 'join table'
    | 'foreign key'
    | 'cascade'
    | 'tree'
    | 'inheritance'
    | 'primary key'
    | 'unique'
    | 'lookup'
  /** The property of a relation, else the columns or the table. */
  readonly name: string
  /** The entity that it leads to. */
  readonly to?: string
  /** What the declaration says of it: `many-to-one, eager`. */
  readonly detail: string
  readonly place: DescribedPlace
  /** What loading it adds to a find: nothing but a join, a statement for each level, or one for each node and level; two of many-to-many. */
  readonly reads?: 'join' | 'a statement' | 'a statement a node' | 'two statements a node'
  /** How a condition or an order by its columns is answered. */
  readonly conditions?: 'join' | 'gather'
  /** How a write takes it along: in the transaction of the row's node, or with other nodes, in two phases. */
  readonly writes?: 'with the row' | 'two phases' | 'every node, two phases'
  /** What the databases check: nothing, among the rows of each shard alone, or among all rows. */
  readonly checked?: 'no' | 'in each shard' | 'everywhere'
}

/** An entity, where its rows are, and all that it declares. */
export interface DescribedEntity {
  readonly entity: string
  readonly table: string
  readonly kind: 'sharded' | 'reference' | 'home'
  /** Of a sharded entity. */
  readonly group?: string
  readonly shardKey?: readonly string[]
  /** What its sharding function is: `hash of 16 shards`. */
  readonly rule?: string
  readonly layout?: Layout
  readonly parts: readonly DescribedPart[]
}

/**
 * What a start has decided about each entity, as frozen data and, by `String(…)`, as a table to be read. It is in the order of the
 * names, so that two descriptions differ where the entities do.
 *
 * @example
 * writeFileSync('sharding.txt', String(dataSource.describeSharding()))
 */
export interface ShardingDescription {
  readonly entities: readonly DescribedEntity[]
  toString(): string
}

/** Freezes a description, and lets it print itself. */
export function shardingDescription(entities: readonly DescribedEntity[]): ShardingDescription {
  const sorted = Object.freeze([...entities].sort((a, b) => order(a.entity, b.entity) || order(a.table, b.table)))
  return Object.freeze({ entities: sorted, toString: () => printed(sorted) })
}

/** By code points: no locale decides what a kept description says. */
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const headings = ['', 'name', 'to', 'where', 'load', 'condition', 'write', 'checked', 'declared']

function printed(entities: readonly DescribedEntity[]): string {
  const rows = entities.map(({ parts }) => parts.map(cells))
  const widths = headings.map((heading, index) =>
    Math.max(heading.length, ...rows.flat().map((row) => row[index]?.length ?? 0)),
  )
  const line = (row: readonly string[]): string =>
    `  ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`.trimEnd()
  const sections = entities.map((entity, index) => [titleOf(entity), ...(rows[index] ?? []).map(line)].join('\n'))
  return `${line(headings)}\n\n${sections.join('\n\n')}\n`
}

const cells = (part: DescribedPart): readonly string[] => [
  part.kind,
  part.name,
  part.to ?? '',
  part.place,
  part.reads ?? '',
  part.conditions ?? '',
  part.writes ?? '',
  part.checked ?? '',
  part.detail,
]

function titleOf({ entity, table, kind, group, shardKey = [], rule, layout }: DescribedEntity): string {
  const named = table === entity ? entity : `${entity} (table ${table})`
  if (kind === 'reference') return `${named}: reference table, a copy on every node`
  if (kind === 'home') return `${named}: not sharded, on the home node`
  return `${named}: sharded by ${shardKey.join(', ')}, ${rule}, in group ${group}, layout ${layout}`
}
