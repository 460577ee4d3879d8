import { ShardedError } from '../../errors/sharded-error'
import { SLOTS } from '../../functions/declaration'
import { slotOfKey } from '../../functions/hash'
import type { KeyColumn, ShardedModel } from '../../model/sharded-entity'
import { placeholderSchema } from '../../planning/bind-shard-names'
import { row } from '../../rebalancing/compared-table'
import type { ReshardedShard, Resharding } from '../../rebalancing/resharding'
import type { RowRouter } from '../../resharding/resharding-host'
import { type ReshardingMove, tableAt } from '../../resharding/resharding-move'
import type { ShardedTable, TableCatalog } from '../../routing/table-catalog'
import {
  declaredOwners,
  type GroupOwners,
  type IsolatedKey,
  isolateOwners,
  mergeOwners,
  ownedBy,
  type Reassigned,
  slotCount,
  splitOwners,
} from '../../topology/group-owners'
import type { Shard } from '../../topology/shard'
import type { ShardMap } from '../../topology/shard-map'
import { canonicalTuple } from '../../values/canonical-key'
import { quoted } from '../../values/quoted'
import { storedKey } from '../../values/stored-key'

/** What the shards of a group own now. */
export const ownersNow = (map: ShardMap, group: string): GroupOwners =>
  map.assigned.get(group) ?? declaredOwners((map.groups.get(group) ?? []).map(({ label }) => label))

/** Why the shards of a group cannot be taken apart; undefined: they can. */
export function unlikeHash({ groups }: ShardedModel, group: string) {
  const [space, another] = groups.get(group)?.spaces ?? []
  if (space?.kind === 'slots' && !another) return undefined
  return {
    why: `the group ${group} is not one of hash, whose slots its shards could share out anew`,
    fix: 'Move the shard to another node, or declare more ranges, lists or periods for the keys to come.',
  }
}

interface Reshaped {
  readonly kind: Resharding['kind']
  readonly sources: readonly Shard[]
  readonly tables: readonly string[]
  readonly before: GroupOwners
  readonly made: Reassigned
  /** The identity of the database of each new shard, in the order of their labels. */
  readonly databases: readonly string[]
  readonly identityOf: (node: string) => string
}

/** New shards in the place of others, as a resharding has them. */
export function reshardingOf({ kind, sources, tables, before, made, databases, identityOf }: Reshaped): Resharding {
  const [first] = sources
  if (!first) throw new RangeError('A resharding has a source.')
  const { group, layout } = first
  const placed = ({ name, label, node }: Shard): ReshardedShard => ({ name, label, layout, database: identityOf(node) })
  return Object.freeze({
    kind,
    sources: sources.map(placed),
    targets: made.labels.map(
      (label, index): ReshardedShard => ({
        name: `${group}_${label}`,
        label,
        layout,
        database: databases[index] ?? '',
      }),
    ),
    tables,
    before,
    owners: made.owners,
  })
}

/** Parts of a shard, of as many slots each as may be. @throws ShardedError OPTIONS_INVALID where it has not so many slots */
export function splitEvenly(owners: GroupOwners, { name, label }: Shard, parts: number): Reassigned {
  const width = slotCount(owners, label)
  if (!Number.isInteger(parts) || parts < 2 || parts > width)
    throw new ShardedError(
      'OPTIONS_INVALID',
      `Shard ${name} owns ${width} slots of ${SLOTS}, and cannot be split into ${parts}.`,
      { details: { shard: name, slots: width, parts }, fix: 'Name a number of parts from 2 on that it has slots for.' },
    )
  const bounds = Array.from({ length: parts + 1 }, (_, index) => Math.floor((index * width) / parts))
  return splitOwners(
    owners,
    label,
    bounds.slice(1).map((bound, index) => bound - (bounds[index] ?? 0)),
  )
}

/** A shard for one key alone. @throws ShardedError OPTIONS_INVALID where it has one already */
export function isolateFrom(owners: GroupOwners, { name, label }: Shard, key: IsolatedKey): Reassigned {
  const { ranges, keys } = ownedBy(owners, label)
  if (ranges.length === 0 && keys.length === 1)
    throw new ShardedError('OPTIONS_INVALID', `The key (${key.join(', ')}) is alone on shard ${name} already.`, {
      details: { shard: name, key },
      fix: 'Move that shard, if it is to be elsewhere.',
    })
  return isolateOwners(owners, label, [key])
}

/** One shard in place of several of a group. @throws ShardedError OPTIONS_INVALID */
export function mergeInto(owners: GroupOwners, shards: readonly Shard[]): Reassigned {
  const names = shards.map(({ name }) => name)
  const groups = new Set(shards.map(({ group }) => group))
  if (new Set(names).size !== names.length || names.length < 2 || groups.size !== 1)
    throw new ShardedError(
      'OPTIONS_INVALID',
      `mergeShards needs two shards of one group or more, not ${names.join(', ')}.`,
      {
        details: { shards: names },
        fix: 'Name shards of one group, each once.',
      },
    )
  return mergeOwners(
    owners,
    shards.map(({ label }) => label),
  )
}

/** Places rows of a resharding by what its group's shards will own. */
export function rowRouter({ resharding }: ReshardingMove, catalog: TableCatalog): RowRouter {
  const isolated = new Map(resharding.owners.keys.map(([key, label]) => [canonicalTuple(key), label]))
  const bySlot = new Array<string>(SLOTS)
  for (const [from, label] of resharding.owners.slots) bySlot.fill(label, from, SLOTS)
  const owners = new Map<string, KeyOwner>()
  // Each row asks.
  const ownerOf = (table: string): KeyOwner => {
    const found = owners.get(table) ?? keyOwnerOf(catalog, table)
    owners.set(table, found)
    return found
  }
  return {
    shardKeySql: (table, shard) => ownerOf(table).sql(shard),
    labelOf: (table, texts) => {
      const key = canonicalOf(table, ownerOf(table).columns, texts)
      return isolated.get(canonicalTuple(key)) ?? bySlot[slotOfKey(key)] ?? ''
    },
  }
}

function tableOf(catalog: TableCatalog, name: string): ShardedTable {
  const found = catalog.table(placeholderSchema, name)
  if (found) return found
  throw new RangeError(`There is no table ${name}.`)
}

/** Where the shard key of a table's rows is. */
interface KeyOwner {
  readonly columns: readonly KeyColumn[]
  readonly sql: (shard: ReshardedShard) => string
}

/** The shard key as the row has it, or as the row has it that it refers to. @throws ShardedError SHARD_MOVE_REFUSED where it has none */
function keyOwnerOf(catalog: TableCatalog, name: string): KeyOwner {
  const table = tableOf(catalog, name)
  const texts = (of: string, columns: readonly string[]): string =>
    `ARRAY[${columns.map((column) => `${of}.${quoted(column)}::text`).join(', ')}]`
  const { entity, keyColumns } = table
  if (entity && keyColumns.length > 0) return { columns: entity.keyColumns, sql: () => texts(row, keyColumns) }
  for (const reference of table.references) {
    const parent = tableOf(catalog, reference.table)
    if (!parent.entity || parent.keyColumns.length === 0) continue
    const joined = reference.referenced
      .map((column, index) => `p.${quoted(column)} = ${row}.${quoted(reference.columns[index] ?? '')}`)
      .join(' AND ')
    return {
      columns: parent.entity.keyColumns,
      sql: (shard) => {
        const { schema, name: stored } = tableAt(reference.table, shard)
        return `(SELECT ${texts('p', parent.keyColumns)} FROM ${quoted(schema)}.${quoted(stored)} p WHERE ${joined})`
      },
    }
  }
  throw new ShardedError('SHARD_MOVE_REFUSED', `The rows of table ${name} have no shard key.`, {
    details: { table: name, missing: [name] },
    fix: 'Give the entity a shard key of its own.',
  })
}

function canonicalOf(name: string, columns: readonly KeyColumn[], texts: readonly (string | null)[]): IsolatedKey {
  const key = columns.flatMap((column, index) => {
    const text = texts[index]
    return typeof text === 'string' ? (storedKey(text, column) ?? []) : []
  })
  if (key.length === columns.length) return key
  throw new ShardedError(
    'KEY_INVALID',
    `A row of table ${name} has the shard key (${texts.join(', ')}), which has no shard.`,
    { details: { table: name, key: texts }, fix: 'Give the row a shard key, or delete it.' },
  )
}
