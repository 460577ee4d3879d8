import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  hash,
  list,
  range,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedId,
  ShardKey,
  time,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { Depot, Parcel, parcels, type RowsWanted } from './save-rows'

@Entity()
@Sharded(hash({ shards: 4 }))
class Member {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('text', { default: '' })
  name!: string
}

@Entity({ name: 'member' })
@Sharded(hash({ shards: 4 }), { group: 'member' })
class MemberByText {
  @ShardKey()
  @PrimaryColumn('text')
  id!: string
}

@Entity()
@Sharded({ colocatedWith: () => Member })
class Badge {
  @PrimaryColumn('int')
  @ShardedId('sequence')
  id!: number

  @ShardKey()
  @Column('int')
  memberId!: number
}

@Entity()
@Sharded(time({ every: 'month', from: '2024-01', to: '2024-04' }))
class Visit {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('date')
  day!: string
}

@Entity()
class Setting {
  @PrimaryColumn('text')
  name!: string
}

describe('the stored topology', () => {
  const made: FreshDatabases[] = []
  let databases: FreshDatabases
  const opened: ShardedDataSource[] = []
  const url = (index: number): string => databases.nodes[index] ?? ''

  beforeEach(async () => {
    databases = await createDatabases(3)
    made.push(databases)
  })
  afterEach(async () => {
    for (const one of opened.splice(0)) if (one.isInitialized) await one.destroy()
  })
  afterAll(async () => {
    for (const one of made) await one.drop()
  })

  const start = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Member, Badge, Setting],
      nodes: { a: { url: url(0) }, b: { url: url(1) } },
      ...options,
    })
    opened.push(dataSource)
    return dataSource.initialize()
  }
  const first = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const dataSource = await start(options)
    await dataSource.synchronize()
    return dataSource
  }
  const refusal = async (options: Partial<ShardedDataSourceOptions>): Promise<{ code: string; message: string }> =>
    start(options).then(
      () => ({ code: 'none', message: '' }),
      (error: Error) => ({ code: String(Reflect.get(error, 'code')), message: error.message }),
    )
  const onNode = async <T>(index: number, text: string): Promise<T[]> => {
    const client = new Client({ connectionString: url(index) })
    await client.connect()
    try {
      return (await client.query(text)).rows as T[]
    } finally {
      await client.end()
    }
  }
  const swappedOrder = () => ({ nodes: { b: { url: url(1) }, a: { url: url(0) } } })
  const places = (dataSource: ShardedDataSource) =>
    Object.fromEntries(dataSource.shards().map(({ name, node }) => [name, node]))

  it('decides the places and the home node, and not the order of the options', async () => {
    const one = await first()
    const ids = Array.from({ length: 20 }, (_, index) => ({ id: index + 1 }))
    await one.getRepository(Member).save(ids)
    await one.getRepository(Setting).save({ name: 'kept' })
    await one.getRepository(Badge).save({ memberId: 1 })
    const other = await start(swappedOrder())
    expect(places(other)).toEqual(places(one))
    expect(other.shardMap.home).toBe('a')
    expect(await other.getRepository(Member).count()).toBe(20)
    expect(await other.getRepository(Setting).find()).toEqual([{ name: 'kept' }])
    expect((await other.getRepository(Badge).save({ memberId: 1 })).id).toBe(1001)
    expect(await other.getRepository(Badge).count()).toBe(2)
  })

  it('gives all sessions what the home node has, whatever the order of the options', async () => {
    const one = await first()
    const zone = (dataSource: ShardedDataSource) => dataSource.query('SHOW TimeZone')
    await onNode(0, `ALTER DATABASE "${new URL(url(0)).pathname.slice(1)}" SET TimeZone = 'Asia/Tokyo'`)
    await onNode(1, `ALTER DATABASE "${new URL(url(1)).pathname.slice(1)}" SET TimeZone = 'America/New_York'`)
    await one.destroy()
    const tokyo = [{ TimeZone: 'Asia/Tokyo' }]
    expect([await zone(await start()), await zone(await start(swappedOrder()))]).toEqual([tokyo, tokyo])
  })

  it('is stored again where somebody has dropped it with the tables', async () => {
    const one = await first()
    for (const index of [0, 1]) await onNode(index, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    await one.synchronize()
    for (const index of [0, 1])
      expect(await onNode(index, 'SELECT name FROM sharding.groups ORDER BY name')).toEqual([{ name: 'member' }])
  })

  it('is one for processes that start at the same time, whatever the order of their options: no row is lost', async () => {
    const [a, b] = [
      ['a', url(0)],
      ['b', url(1)],
    ] as const
    const orders = [
      [a, b],
      [b, a],
      [a, b],
      [b, a],
    ]
    const children = orders.map(() => fork(join(__dirname, 'save-rows.ts'), { execArgv: ['-r', '@swc-node/register'] }))
    const all = (wanted: (index: number) => RowsWanted) =>
      Promise.all(
        children.map(async (child, index) => {
          const answer = once(child, 'message')
          child.send(wanted(index))
          const [message] = (await answer) as [{ readonly ids?: readonly string[]; readonly error?: string }]
          return message
        }),
      )
    try {
      expect(await all((index) => ({ start: orders[index] ?? [] }))).toEqual(orders.map(() => ({ ids: [] })))
      const dataSource = await parcels([a, b]).initialize()
      opened.push(dataSource)
      await dataSource.synchronize()
      const answers = await all(() => ({ save: 20 }))
      const ids = answers.flatMap((answer) => answer.ids ?? [])
      expect(ids).toHaveLength(80)
      const found = await dataSource.getRepository(Parcel).find()
      expect(found.map(({ id }) => id).sort()).toEqual([...ids].sort())
      expect(await dataSource.getRepository(Depot).count()).toBe(4)
    } finally {
      for (const child of children) child.kill()
    }
  }, 60_000)

  it('refuses another number of shards, before anything is made or read', async () => {
    await first()
    const { code, message } = await refusal({ groups: { member: { shards: hash({ shards: 8 }) } } })
    expect(code).toBe('TOPOLOGY_MISMATCH')
    expect(message).toContain(
      'Group "member", as node a has it: the sharding function is hash of 4 shards, and hash of 8 shards by the options.',
    )
    expect(await onNode(0, `SELECT FROM pg_namespace WHERE nspname = 'member_07'`)).toEqual([])
  })

  it.each([
    ['another layout', { layout: 'table' }, 'the layout is schema, and table by the options'],
    ['another home', { home: 'b' }, 'the home node is node a, and node b by the options'],
    [
      'another place',
      { groups: { member: { placement: { '00': 'b' } } } },
      'the place of shard 00 is node a, and node b by the options',
    ],
    ['another type of the key', { entities: [MemberByText] }, 'the shard key is integer, and text by the options'],
  ] as const)('refuses %s', async (_, options, text) => {
    await first()
    const { code, message } = await refusal(options as Partial<ShardedDataSourceOptions>)
    expect(code).toBe('TOPOLOGY_MISMATCH')
    expect(message).toContain(text)
  })

  describe('of a shard key', () => {
    /** An item of two numbers, with some of them as its shard key. */
    const itemBy = (...key: string[]) => {
      class Item {
        id!: number
        tenant!: number
        area!: number
      }
      PrimaryColumn('int')(Item.prototype, 'id')
      for (const name of ['tenant', 'area']) Column('int')(Item.prototype, name)
      for (const name of key) ShardKey()(Item.prototype, name)
      Sharded(hash({ shards: 8 }), { group: 'item' })(Item)
      Entity('item')(Item)
      return Item
    }
    const rows = () => Array.from({ length: 20 }, (_, id) => ({ id, tenant: id, area: 7 * id + 1 }))
    const keyless = async () => {
      for (const index of [0, 1])
        await onNode(index, `UPDATE sharding.groups SET fingerprint = fingerprint - 'keys' WHERE name = 'item'`)
    }
    const said = (before: string, now: string) =>
      `the shard key of table item is (${before}), and (${now}) by the options`

    it.each([
      [['tenant'], ['area'], said('tenant integer', 'area integer')],
      [['tenant', 'area'], ['area', 'tenant'], said('tenant integer, area integer', 'area integer, tenant integer')],
    ])('refuses %j as %j, before anything is made or written', async (before, now, text) => {
      const one = await first({ entities: [itemBy(...before)] })
      await one.getRepository('Item').insert(rows())
      for (const synchronize of [false, true]) {
        const { code, message } = await refusal({ entities: [itemBy(...now)], synchronize })
        expect(code).toBe('TOPOLOGY_MISMATCH')
        expect(message).toContain(`Group "item", as node a has it: ${text}.`)
      }
      const again = await start({ entities: [itemBy(...before)] })
      expect(await again.getRepository('Item').find({ order: { id: 'ASC' } })).toEqual(rows())
    })

    it('refuses another name of its column, and takes it when the stored keys are taken away', async () => {
      const named = (name: string) => {
        @Entity('item')
        @Sharded(hash({ shards: 8 }), { group: 'item' })
        class Item {
          @PrimaryColumn('int')
          id!: number

          @ShardKey()
          @Column('int', { name })
          tenant!: number
        }
        return Item
      }
      const one = await first({ entities: [named('tenant')] })
      const ids = Array.from({ length: 20 }, (_, id) => ({ id, tenant: id }))
      await one.getRepository('Item').insert(ids)
      for (const { name, node } of one.shards())
        await onNode(node === 'a' ? 0 : 1, `ALTER TABLE "${name}".item RENAME COLUMN tenant TO client`)
      const { code, message } = await refusal({ entities: [named('client')] })
      expect(code).toBe('TOPOLOGY_MISMATCH')
      expect(message).toContain(said('tenant integer', 'client integer'))
      await keyless()
      const two = await start({ entities: [named('client')] })
      for (const row of ids) expect(await two.getRepository('Item').findBy(row)).toEqual([row])
    })

    it('takes what an earlier version stored without it, once', async () => {
      const one = await first({ entities: [itemBy('tenant')] })
      await one.getRepository('Item').insert(rows())
      await keyless()
      await start({ entities: [itemBy('tenant')] })
      for (const index of [0, 1])
        expect(await onNode(index, `SELECT fingerprint->'keys' AS keys FROM sharding.groups`)).toEqual([
          { keys: { item: [{ name: 'tenant' }] } },
        ])
      expect((await refusal({ entities: [itemBy('area')] })).code).toBe('TOPOLOGY_MISMATCH')
    })

    it('remembers that of an entity that is gone, and takes more entities', async () => {
      @Entity('badge')
      @Sharded({ colocatedWith: () => Member })
      class BadgeById {
        @ShardKey()
        @PrimaryColumn('int')
        id!: number

        @Column('int')
        memberId!: number
      }
      const one = await first({ entities: [Member, Badge] })
      await one.getRepository(Badge).save({ memberId: 1 })
      const without = await start({ entities: [Member] })
      expect(without.shards(Member)).toHaveLength(4)
      const { code, message } = await refusal({ entities: [Member, BadgeById] })
      expect(code).toBe('TOPOLOGY_MISMATCH')
      expect(message).toContain('the shard key of table badge is (memberId integer), and (id integer) by the options')
      expect(await (await start()).getRepository(Badge).count()).toBe(1)
    })

    it('is replaced where its table holds no rows, whatever the others hold', async () => {
      const byArea: Partial<ShardedDataSourceOptions> = {
        entities: [Member, itemBy('area')],
        onTopologyChange: 'replace',
      }
      const one = await first({ entities: [Member, itemBy('tenant')] })
      await one.getRepository(Member).save({ id: 1 })
      await one.getRepository('Item').insert(rows())
      expect((await refusal(byArea)).message).toMatch(
        /Table item_0\d\.item of node [ab] holds rows: they would be lost\./,
      )
      await one.getRepository('Item').clear()
      const two = await start(byArea)
      await two.getRepository('Item').insert(rows())
      expect((await two.verifyPlacement())[1]).toMatchObject({ rows: 20, misplaced: 0 })
      expect((await refusal({ entities: [Member, itemBy('tenant')] })).code).toBe('TOPOLOGY_MISMATCH')
    })

    it.each([
      ['numeric', { precision: 8, scale: 2 }, { precision: 8, scale: 1 }, 'price numeric(8, 2)', 'price numeric(8, 1)'],
      ['timestamp', { precision: 6 }, { precision: 0 }, 'price timestamp(6)', 'price timestamp(0)'],
      ['varchar', { length: 20 }, { length: 10 }, 'price text(20)', 'price text(10)'],
    ] as const)(
      'refuses a %s that would round stored keys, and takes one with more room',
      async (type, wide, narrow, before, now) => {
        const priced = (options: object) => {
          @Entity('item')
          @Sharded(hash({ shards: 8 }), { group: 'item' })
          class Item {
            @PrimaryColumn('int')
            id!: number

            @ShardKey()
            @Column({ type, ...options })
            price!: string
          }
          return Item
        }
        await first({ entities: [priced(wide)] })
        const { code, message } = await refusal({ entities: [priced(narrow)], synchronize: true })
        expect(code).toBe('TOPOLOGY_MISMATCH')
        expect(message).toContain(said(before, now))
        await start({ entities: [priced({})] })
      },
    )
  })

  describe.each(['schema', 'table'] as const)('of a table that comes to another group, in the layout %s', (layout) => {
    const item = (name: string, options: { group?: string } = {}, table = 'item') => {
      const { [name]: made = class {} } = { [name]: class {} }
      PrimaryColumn('int')(made.prototype, 'id')
      ShardKey()(made.prototype, 'id')
      Sharded(hash({ shards: 4 }), options)(made)
      Entity(table)(made)
      return made
    }
    const rows = Array.from({ length: 20 }, (_, id) => ({ id }))
    const filled = async () => {
      const one = await first({ entities: [item('Item')], layout })
      await one.getRepository('Item').insert(rows)
      return one
    }
    const refused = async (options: Partial<ShardedDataSourceOptions>) => {
      for (const synchronize of [false, true]) {
        const { code, message } = await refusal({ layout, synchronize, ...options })
        expect(code).toBe('TOPOLOGY_MISMATCH')
        expect(message).toMatch(
          /^Group "stock_item", as node [ab] has it: the rows of table item are in shards of group "item", such as "/,
        )
      }
    }
    const all = (dataSource: ShardedDataSource) => dataSource.getRepository('StockItem').find({ order: { id: 'ASC' } })

    it.each([true, false])(
      'refuses it while the old one holds its rows, stored with its tables: %s',
      async (isStored) => {
        await filled()
        if (!isStored)
          for (const index of [0, 1])
            await onNode(index, `UPDATE sharding.groups SET fingerprint = fingerprint - 'keys'`)
        await refused({ entities: [item('StockItem')] })
        expect(await onNode(0, `SELECT name FROM sharding.groups WHERE name = 'stock_item'`)).toEqual([])
        expect(await all(await start({ layout, entities: [item('StockItem', { group: 'item' })] }))).toEqual(rows)
      },
    )

    it('takes it with another table name', async () => {
      await filled()
      const two = await first({ layout, entities: [item('StockItem', {}, 'stock_item')] })
      expect(await all(two)).toEqual([])
    })

    it('takes it when the old tables hold no rows', async () => {
      await (await filled()).getRepository('Item').clear()
      await start({ layout, entities: [item('StockItem')] })
    })
  })

  it('refuses a child that comes to another group, and takes it back', async () => {
    const group = (name: string) => {
      const { [name]: made = class {} } = { [name]: class {} }
      PrimaryColumn('int')(made.prototype, 'id')
      ShardKey()(made.prototype, 'id')
      Sharded(hash({ shards: 4 }))(made)
      Entity()(made)
      return made
    }
    const [left, right] = [group('Left'), group('Right')]
    const child = (of: typeof left) => {
      @Entity('child')
      @Sharded({ colocatedWith: () => of })
      class Child {
        @ShardKey()
        @PrimaryColumn('int')
        id!: number
      }
      return Child
    }
    const rows = Array.from({ length: 20 }, (_, id) => ({ id }))
    const one = await first({ entities: [left, right, child(left)] })
    await one.getRepository('Child').insert(rows)
    const moved = { entities: [left, right, child(right)], synchronize: true }
    const { code, message } = await refusal(moved)
    expect(code).toBe('TOPOLOGY_MISMATCH')
    expect(message).toContain('the rows of table child are in shards of group "left"')
    const back = await start({ entities: [left, right, child(left)] })
    expect(await back.getRepository('Child').count()).toBe(20)
  })

  it('takes tables of one name that two applications had before their groups were stored with tables', async () => {
    @Entity('member')
    @Sharded(hash({ shards: 2 }), { group: 'other' })
    class Other {
      @ShardKey()
      @PrimaryColumn('int')
      id!: number
    }
    const one = await first({ entities: [Member] })
    await one.getRepository(Member).save({ id: 1 })
    for (const index of [0, 1]) await onNode(index, `UPDATE sharding.groups SET fingerprint = fingerprint - 'keys'`)
    expect((await refusal({ entities: [Other] })).code).toBe('TOPOLOGY_MISMATCH')
    await one.getRepository(Member).clear()
    const two = await first({ entities: [Other] })
    await two.getRepository(Other).save({ id: 1 })
    await one.getRepository(Member).save({ id: 1 })
    for (const index of [0, 1]) await onNode(index, `UPDATE sharding.groups SET fingerprint = fingerprint - 'keys'`)
    expect(await (await start({ entities: [Other] })).getRepository(Other).count()).toBe(1)
    expect(await (await start({ entities: [Member] })).getRepository(Member).count()).toBe(1)
  })

  it('refuses urls that were swapped, a name that leads to a new database, and two names of one database', async () => {
    await first()
    const swapped = await refusal({ nodes: { a: { url: url(1) }, b: { url: url(0) } } })
    expect(swapped.code).toBe('TOPOLOGY_MISMATCH')
    expect(swapped.message).toContain('the database of node a is that of node b by the options')
    const another = await refusal({ nodes: { a: { url: url(0) }, b: { url: url(2) } } })
    expect(another.code).toBe('TOPOLOGY_MISMATCH')
    expect(another.message).toContain('(node b at that time), which no node connects to')
    const twice = await refusal({ nodes: { a: { url: url(0) }, b: { url: url(1) }, c: { url: url(1) } } })
    expect(twice.code).toBe('TOPOLOGY_MISMATCH')
    expect(twice.message).toContain('are one database')
    const missing = await refusal({ nodes: { a: { url: url(0) } } })
    expect(missing.code).toBe('TOPOLOGY_MISMATCH')
  })

  it('refuses two names of one database at the first start too', async () => {
    const { code, message } = await refusal({ nodes: { a: { url: url(0) }, b: { url: url(0) } } })
    expect(code).toBe('TOPOLOGY_MISMATCH')
    expect(message).toContain('Nodes a and b are one database')
  })

  it('refuses a copy of a node beside the node', async () => {
    const one = await first()
    await one.destroy()
    const copy = new URL(url(0))
    copy.pathname += '_copy'
    const admin = new URL(url(0))
    admin.pathname = '/postgres'
    const client = new Client({ connectionString: admin.href })
    await client.connect()
    try {
      await client.query(`CREATE DATABASE "${copy.pathname.slice(1)}" TEMPLATE "${new URL(url(0)).pathname.slice(1)}"`)
      const { code, message } = await refusal({
        nodes: { a: { url: url(0) }, b: { url: url(1) }, c: { url: copy.href } },
      })
      expect(code).toBe('TOPOLOGY_MISMATCH')
      expect(message).toContain('one is a copy of the other')
    } finally {
      await client.query(`DROP DATABASE IF EXISTS "${copy.pathname.slice(1)}" WITH (FORCE)`)
      await client.end()
    }
  })

  it('takes other names for the same databases, and nodes that are added: the rows stay where they are', async () => {
    const one = await first()
    await one.getRepository(Member).save({ id: 1 })
    const renamed = await start({ nodes: { x: { url: url(1) }, y: { url: url(0) }, z: { url: url(2) } } })
    expect(await renamed.getRepository(Member).find()).toEqual([{ id: 1, name: '' }])
    expect(renamed.shardMap.home).toBe('y')
    expect(Object.values(places(renamed)).sort()).toEqual(['x', 'x', 'y', 'y'])
  })

  it('takes periods that are added, and refuses to forget them', async () => {
    const to = (month: string) => ({
      entities: [Visit],
      groups: { visit: { shards: time({ every: 'month', from: '2024-01', to: month }) } },
    })
    const one = await first(to('2024-04'))
    const more = await first(to('2024-07'))
    expect(places(more)).toMatchObject(places(one))
    await more.getRepository(Visit).save({ id: 1, day: '2024-06-01' })
    const { code, message } = await refusal(to('2024-04'))
    expect(code).toBe('TOPOLOGY_MISMATCH')
    expect(message).toContain('the options lack its shard 2024_04')
  })

  it('takes lists and ranges in any order, and refuses values that go to another shard', async () => {
    const lists = (shards: Parameters<typeof list>[0]['shards']) => ({
      groups: { member: { shards: list({ shards }) } },
    })
    const one = await first(lists({ x: [1, 2], y: [3] }))
    await one.getRepository(Member).save([{ id: 1 }, { id: 3 }])
    const other = await first(lists({ w: [9], y: [3], x: [2, 1] }))
    expect(await other.getRepository(Member).count()).toBe(2)
    const { message } = await refusal(lists({ w: [9], x: [1], y: [2, 3] }))
    expect(message).toContain('what shard x owns is ["1","2"], and ["1"] by the options')
    const ranges = (end: number) => ({
      groups: { member: { shards: range({ shards: { low: [null, end], high: [end, null] } }) } },
    })
    expect((await refusal(ranges(10))).message).toContain('the sharding function is list, and intervals by the options')
  })

  it('is replaced where the shards hold no rows, and only there', async () => {
    const one = await first()
    const eight = { groups: { member: { shards: hash({ shards: 8 }) } }, onTopologyChange: 'replace' } as const
    await one.getRepository(Member).save({ id: 1 })
    const { code, message } = await refusal(eight)
    expect(code).toBe('TOPOLOGY_MISMATCH')
    expect(message).toMatch(/Table member_0\d\.member of node [ab] holds rows: they would be lost\./)
    await one.getRepository(Member).clear()
    const other = await first(eight)
    await other.getRepository(Member).save({ id: 1 })
    expect((await refusal({})).code).toBe('TOPOLOGY_MISMATCH')
    expect(await (await start({ groups: eight.groups })).getRepository(Member).count()).toBe(1)
  })

  it('is forgotten with the tables', async () => {
    const one = await first()
    await one.dropDatabase()
    const other = await first({ groups: { member: { shards: hash({ shards: 8 }) } } })
    expect(other.shards()).toHaveLength(8)
    await other.synchronize(true)
    expect((await refusal({})).code).toBe('TOPOLOGY_MISMATCH')
  })

  it('is copied to a node that a crash kept from having it', async () => {
    await first()
    const prints = () =>
      Promise.all([0, 1].map((index) => onNode<{ name: string }>(index, 'SELECT name FROM sharding.groups')))
    await onNode(1, 'DELETE FROM sharding.groups')
    await start()
    expect(await prints()).toEqual([[{ name: 'member' }], [{ name: 'member' }]])
  })

  it('is read by a role that may not write it, and one that may not read it is told so', async () => {
    await first()
    const role = `reader_${Math.random().toString(36).slice(2)}`
    const asRole = (index: number): string => {
      const one = new URL(url(index))
      one.username = role
      one.password = 'secret'
      return one.href
    }
    const grant = async (text: string) => {
      for (const index of [0, 1]) await onNode(index, text.replaceAll('ROLE', role))
    }
    // The two nodes may lie on two servers, or on one.
    for (const index of [0, 1])
      await onNode(index, `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`).catch(() => undefined)
    try {
      const nodes = { a: { url: asRole(0) }, b: { url: asRole(1) } }
      await grant('GRANT USAGE ON SCHEMA public, member_00, member_01, member_02, member_03 TO ROLE').catch(
        () => undefined,
      )
      const { code, message } = await refusal({ nodes, transactions: 'best-effort', entities: [Member] })
      expect(code).toBe('CATALOG_UNAVAILABLE')
      expect(message).toContain('Node a does not let its role use the catalog: permission denied for table ')
      await grant('GRANT SELECT ON sharding.groups, sharding.databases, sharding.epochs, sharding.nodes TO ROLE')
      await start({ nodes, transactions: 'best-effort', entities: [Member] })
    } finally {
      await grant('DROP OWNED BY ROLE')
      for (const index of [0, 1]) await onNode(index, `DROP ROLE ${role}`).catch(() => undefined)
    }
  })
})
