/** A column of TPC-H: its name and type; `key`: it is of the primary key. */
interface TpchColumn {
  readonly name: string
  readonly type: 'int' | 'text' | 'numeric' | 'date'
  readonly key?: true
}

export interface TpchTable {
  readonly name: string
  readonly columns: readonly TpchColumn[]
  /** Columns that one database has indexes on, and so has each shard. */
  readonly indexes: readonly (readonly string[])[]
}

/** `a:int! b:text`: columns and their types; those with `!` are the primary key. */
const table = (name: string, columns: string, indexes: readonly (readonly string[])[] = []): TpchTable => ({
  name,
  columns: columns.split(' ').map((text) => {
    const [column = '', type = ''] = text.replace('!', '').split(':')
    return { name: column, type: type as TpchColumn['type'], ...(text.endsWith('!') && { key: true }) } // As written below.
  }),
  indexes,
})

/** The tables of TPC-H, with the columns that its queries read. A line also says whose it is, as it has to where customers are sharded. */
export const tpchTables = [
  table('region', 'r_regionkey:int! r_name:text'),
  table('nation', 'n_nationkey:int! n_name:text n_regionkey:int'),
  table('supplier', 's_suppkey:int! s_name:text s_acctbal:numeric s_nationkey:int s_comment:text'),
  table('part', 'p_partkey:int! p_name:text p_mfgr:text p_brand:text p_type:text p_size:int p_container:text'),
  table('partsupp', 'ps_partkey:int! ps_suppkey:int! ps_availqty:int ps_supplycost:numeric', [['ps_suppkey']]),
  table('customer', 'c_custkey:int! c_name:text c_phone:text c_acctbal:numeric c_mktsegment:text c_nationkey:int', [
    ['c_nationkey'],
  ]),
  table(
    'orders',
    'o_orderkey:int! o_custkey:int o_orderstatus:text o_totalprice:numeric o_orderdate:date o_orderpriority:text o_shippriority:int o_comment:text',
    [['o_custkey']],
  ),
  table(
    'lineitem',
    'l_orderkey:int! l_linenumber:int! l_custkey:int l_partkey:int l_suppkey:int l_quantity:numeric l_extendedprice:numeric l_discount:numeric l_tax:numeric l_returnflag:text l_linestatus:text l_shipdate:date l_commitdate:date l_receiptdate:date l_shipinstruct:text l_shipmode:text',
    [['l_partkey', 'l_suppkey']],
  ),
] as const
