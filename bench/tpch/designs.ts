import { EntitySchema } from 'typeorm'
import { hash, referenceSchema, shardedSchema } from '../../src/index'
import { type TpchTable, tpchTables } from './tables'

/** Which tables are sharded, and by which column; the first of a group makes its shards. */
export interface Design {
  readonly name: string
  readonly groups: readonly Readonly<Record<string, string>>[]
  /** Tables with a copy on every node. */
  readonly references: readonly string[]
}

const byCustomer = { customer: 'c_custkey', orders: 'o_custkey', lineitem: 'l_custkey' }
const byPart = { part: 'p_partkey', partsupp: 'ps_partkey' }

export const designs: readonly Design[] = [
  { name: 'orders and lineitem by order', groups: [{ orders: 'o_orderkey', lineitem: 'l_orderkey' }], references: [] },
  { name: 'customer, orders and lineitem by customer', groups: [byCustomer], references: [] },
  { name: 'and part and partsupp by part', groups: [byCustomer, byPart], references: [] },
  {
    name: 'and nation, region and supplier on every node',
    groups: [byCustomer, byPart],
    references: ['nation', 'region', 'supplier'],
  },
]

/** A line belongs to its order wherever orders are: the key of the order alone then says where the line is. */
const lineOfOrder = { order: { type: 'many-to-one' as const, target: 'orders', joinColumn: { name: 'l_orderkey' } } }

function schemaOf(table: TpchTable, name: string, order?: string): EntitySchema {
  return new EntitySchema({
    name,
    tableName: table.name,
    columns: Object.fromEntries(
      table.columns.map(({ name: column, type, key }) => [column, { type, primary: key === true }]),
    ),
    indices: table.indexes.map((columns) => ({ columns: [...columns] })),
    ...(order !== undefined && {
      relations: { order: { ...lineOfOrder.order, target: order } },
    }),
  })
}

/** The tables on one database. */
export const plainEntities = (): readonly EntitySchema[] => tpchTables.map((table) => schemaOf(table, table.name))

const shards = 8

/** The tables as a design shards them. Declarations are remembered for as long as the process runs, so each design has names of its own. */
export function shardedEntities({ name: design, groups, references }: Design): readonly EntitySchema[] {
  const nameOf = (table: string): string => `${table}, ${design}`
  return tpchTables.map((table) => {
    const group = groups.find((tables) => table.name in tables)
    const isLine = table.name === 'lineitem' && group?.['customer'] !== undefined
    const schema = schemaOf(table, nameOf(table.name), isLine ? nameOf('orders') : undefined)
    const key = group?.[table.name]
    const [first = ''] = Object.keys(group ?? {})
    if (references.includes(table.name)) return referenceSchema(schema)
    if (key === undefined) return schema
    const isFirst = table.name === first
    return shardedSchema(schema, {
      by: isFirst ? hash({ shards }) : { colocatedWith: () => nameOf(first) },
      shardKey: [key],
      options: isFirst ? { group: first } : {},
    })
  })
}
