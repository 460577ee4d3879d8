import { Column, type DataSource, Entity, PrimaryColumn } from 'typeorm'
import { hash, Sharded, ShardKey } from '../../../src'

/** The tables of TPC-H, with a few hundred rows: orders and their lines over shards by the order, the rest unsharded. */
@Entity('orders')
@Sharded(hash({ shards: 8 }), { group: 'orders' })
export class Orders {
  @ShardKey() @PrimaryColumn('int', { name: 'o_orderkey' }) orderkey!: number
  @Column('int', { name: 'o_custkey' }) custkey!: number
  @Column('text', { name: 'o_orderstatus' }) status!: string
  @Column('numeric', { name: 'o_totalprice' }) totalprice!: string
  @Column('date', { name: 'o_orderdate' }) orderdate!: string
  @Column('text', { name: 'o_orderpriority' }) priority!: string
  @Column('int', { name: 'o_shippriority' }) shippriority!: number
  @Column('text', { name: 'o_comment' }) comment!: string
}

@Entity('lineitem')
@Sharded({ colocatedWith: () => Orders })
export class Lineitem {
  @ShardKey() @PrimaryColumn('int', { name: 'l_orderkey' }) orderkey!: number
  @PrimaryColumn('int', { name: 'l_linenumber' }) linenumber!: number
  @Column('int', { name: 'l_partkey' }) partkey!: number
  @Column('int', { name: 'l_suppkey' }) suppkey!: number
  @Column('numeric', { name: 'l_quantity' }) quantity!: string
  @Column('numeric', { name: 'l_extendedprice' }) extendedprice!: string
  @Column('numeric', { name: 'l_discount' }) discount!: string
  @Column('numeric', { name: 'l_tax' }) tax!: string
  @Column('text', { name: 'l_returnflag' }) returnflag!: string
  @Column('text', { name: 'l_linestatus' }) linestatus!: string
  @Column('date', { name: 'l_shipdate' }) shipdate!: string
  @Column('date', { name: 'l_commitdate' }) commitdate!: string
  @Column('date', { name: 'l_receiptdate' }) receiptdate!: string
  @Column('text', { name: 'l_shipinstruct' }) shipinstruct!: string
  @Column('text', { name: 'l_shipmode' }) shipmode!: string
}

@Entity('customer')
export class Customer {
  @PrimaryColumn('int', { name: 'c_custkey' }) custkey!: number
  @Column('text', { name: 'c_name' }) name!: string
  @Column('text', { name: 'c_phone' }) phone!: string
  @Column('numeric', { name: 'c_acctbal' }) acctbal!: string
  @Column('text', { name: 'c_mktsegment' }) segment!: string
  @Column('int', { name: 'c_nationkey' }) nationkey!: number
}

@Entity('nation')
export class Nation {
  @PrimaryColumn('int', { name: 'n_nationkey' }) nationkey!: number
  @Column('text', { name: 'n_name' }) name!: string
  @Column('int', { name: 'n_regionkey' }) regionkey!: number
}

@Entity('region')
export class Region {
  @PrimaryColumn('int', { name: 'r_regionkey' }) regionkey!: number
  @Column('text', { name: 'r_name' }) name!: string
}

@Entity('part')
export class Part {
  @PrimaryColumn('int', { name: 'p_partkey' }) partkey!: number
  @Column('text', { name: 'p_name' }) name!: string
  @Column('text', { name: 'p_mfgr' }) mfgr!: string
  @Column('text', { name: 'p_brand' }) brand!: string
  @Column('text', { name: 'p_type' }) type!: string
  @Column('int', { name: 'p_size' }) size!: number
  @Column('text', { name: 'p_container' }) container!: string
}

@Entity('supplier')
export class Supplier {
  @PrimaryColumn('int', { name: 's_suppkey' }) suppkey!: number
  @Column('text', { name: 's_name' }) name!: string
  @Column('numeric', { name: 's_acctbal' }) acctbal!: string
  @Column('int', { name: 's_nationkey' }) nationkey!: number
  @Column('text', { name: 's_comment' }) comment!: string
}

@Entity('partsupp')
export class Partsupp {
  @PrimaryColumn('int', { name: 'ps_partkey' }) partkey!: number
  @PrimaryColumn('int', { name: 'ps_suppkey' }) suppkey!: number
  @Column('int', { name: 'ps_availqty' }) availqty!: number
  @Column('numeric', { name: 'ps_supplycost' }) supplycost!: string
}

export const tables = [Orders, Lineitem, Customer, Nation, Region, Part, Supplier, Partsupp]

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1)
const pick = <T>(list: readonly T[], index: number): T => list[index % list.length] as T
/** A number that looks random, the same each time. */
const scrambled = (number: number): number => Math.floor(Math.abs(Math.sin(number * 12.9898) * 43758.5453)) % 10_007
const day = (offset: number): string => new Date(Date.UTC(1993, 0, 1 + offset)).toISOString().slice(0, 10)

/** The same rows each time. */
export async function seed(dataSource: DataSource): Promise<void> {
  const into = (target: new () => object, rows: readonly object[]) =>
    dataSource.getRepository(target).insert([...rows] as never)
  await into(
    Region,
    ['ASIA', 'EUROPE', 'AMERICA'].map((name, regionkey) => ({ regionkey, name })),
  )
  await into(
    Nation,
    ['CHINA', 'JAPAN', 'FRANCE', 'GERMANY', 'BRAZIL', 'CANADA'].map((name, nationkey) => ({
      nationkey,
      name,
      regionkey: Math.floor(nationkey / 2),
    })),
  )
  await into(
    Customer,
    range(40).map((custkey) => ({
      custkey,
      name: `Customer ${custkey}`,
      phone: `${pick([13, 31, 23, 29], custkey)}-555`,
      acctbal: String(((custkey * 37) % 100) * 10 - 200),
      segment: pick(['BUILDING', 'MACHINERY', 'AUTOMOBILE'], custkey),
      nationkey: custkey % 6,
    })),
  )
  await into(
    Supplier,
    range(12).map((suppkey) => ({
      suppkey,
      name: `Supplier ${suppkey}`,
      acctbal: String(suppkey * 11),
      nationkey: suppkey % 6,
      comment: suppkey % 5 === 0 ? 'Customer Complaints' : 'fine',
    })),
  )
  await into(
    Part,
    range(30).map((partkey) => ({
      partkey,
      name: `${pick(['green', 'forest', 'blue'], partkey)} part ${partkey}`,
      mfgr: `M${partkey % 3}`,
      brand: `Brand#${partkey % 4}`,
      type: pick(['PROMO BRASS', 'ECONOMY BRASS', 'STANDARD TIN'], partkey),
      size: (partkey % 10) + 1,
      container: pick(['SM CASE', 'MED BOX', 'LG JAR'], partkey),
    })),
  )
  await into(
    Partsupp,
    range(30).flatMap((partkey) =>
      range(4).map((n) => ({
        partkey,
        suppkey: ((partkey + n * 3) % 12) + 1,
        availqty: ((partkey * n) % 20) + 1,
        supplycost: String(((partkey * 7 + n) % 50) + 1),
      })),
    ),
  )
  await into(
    Orders,
    range(200).map((orderkey) => ({
      orderkey,
      custkey: (scrambled(orderkey) % 30) + 1,
      status: pick(['F', 'O', 'P'], orderkey),
      totalprice: String((orderkey * 31) % 997),
      orderdate: day((orderkey * 13) % 1400),
      priority: pick(['1-URGENT', '2-HIGH', '3-MEDIUM'], orderkey),
      shippriority: 0,
      comment: orderkey % 9 === 0 ? 'special packed requests' : 'plain',
    })),
  )
  await into(
    Lineitem,
    range(200).flatMap((orderkey) =>
      range((orderkey % 4) + 1).map((linenumber) => {
        const mixed = scrambled(orderkey * 8 + linenumber)
        const partkey = (mixed % 30) + 1
        return {
          orderkey,
          linenumber,
          partkey,
          suppkey: ((partkey + (((mixed >> 3) % 4) + 1) * 3) % 12) + 1,
          quantity: String((mixed % 50) + 1),
          extendedprice: String(((mixed * 17) % 900) + 100),
          discount: `0.0${mixed % 10}`,
          tax: `0.0${mixed % 8}`,
          returnflag: pick(['A', 'N', 'R'], mixed),
          linestatus: pick(['F', 'O'], mixed),
          shipdate: day(((orderkey * 13) % 1400) + (mixed % 60)),
          commitdate: day(((orderkey * 13) % 1400) + 30),
          receiptdate: day(((orderkey * 13) % 1400) + (mixed % 60) + (mixed % 25)),
          shipinstruct: pick(['DELIVER IN PERSON', 'NONE'], mixed),
          shipmode: pick(['AIR', 'MAIL', 'SHIP', 'RAIL'], mixed),
        }
      }),
    ),
  )
}
