import { Column, Entity, JoinTable, ManyToMany, PrimaryColumn, type Relation } from 'typeorm'
import { expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

/** Its primary key tells nothing of where it is. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Stamp {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  album!: number

  @Column('int', { default: 0 })
  value!: number
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Leaf {
  @PrimaryColumn('int')
  tree!: number

  @PrimaryColumn('text')
  name!: string

  @ShardKey()
  @Column('int')
  garden!: number

  @Column('int', { default: 0 })
  value!: number
}

/** Its columns do not store what they are given. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Rounded {
  @PrimaryColumn('numeric', { precision: 6, scale: 1 }) id!: string
  @PrimaryColumn('varchar', { length: 2 }) name!: string
  @ShardKey() @Column('numeric', { precision: 6, scale: 1 }) weight!: string
  @ShardKey() @Column('timestamp', { precision: 0 }) at!: Date
  @Column('int', { default: 0 }) value!: number
  @ManyToMany(() => Rounded) @JoinTable({ name: 'pair' }) others!: Relation<Rounded>[]
}

/** Its primary key is of types that are written in many ways. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Odd {
  @PrimaryColumn('int', { array: true })
  path!: number[]

  @PrimaryColumn('bytea')
  bytes!: Buffer

  @PrimaryColumn('timestamptz')
  at!: Date

  @PrimaryColumn('enum', { enum: ['new', "it's"] })
  state!: string

  @PrimaryColumn('character', { length: 3 })
  code!: string

  @PrimaryColumn('jsonb')
  extra!: object

  @PrimaryColumn('bit varying')
  bits!: string

  @ShardKey()
  @Column('numeric')
  amount!: string

  @Column('int', { default: 0 })
  value!: number
}

onTargets({ entities: [Stamp, Leaf, Odd, Rounded], groups: ['stamp', 'leaf', 'odd', 'rounded'] }, (target) => {
  const stamps = () => target.dataSource.getRepository(Stamp)
  const rows = async () =>
    (await stamps().find({ order: { id: 'ASC' } })).map(({ id, album, value }) => `${id} ${album} ${value}`)
  const some = () => stamps().insert(Array.from({ length: 8 }, (_, n) => ({ id: n, album: n * 3, value: n })))
  const query = (text: string, parameters: unknown[] = []) => target.dataSource.query(text, parameters)

  it('upserts by the primary key: rows that are there, and new ones', async () => {
    await some()
    await stamps().upsert({ id: 3, album: 9, value: 33 }, ['id'])
    await stamps().upsert(
      [
        { id: 4, album: 12, value: 44 },
        { id: 20, album: 5, value: 20 },
        { id: 21, album: 6, value: 21 },
      ],
      { conflictPaths: ['id'], skipUpdateIfNoValuesChanged: true },
    )
    expect(await rows()).toEqual([
      '0 0 0',
      '1 3 1',
      '2 6 2',
      '3 9 33',
      '4 12 44',
      '5 15 5',
      '6 18 6',
      '7 21 7',
      '20 5 20',
      '21 6 21',
    ])
  })

  it('updates a row of another shard key where it is, and makes no second one', async () => {
    await some()
    const values = Array.from({ length: 8 }, (_, n) => `(${n}, ${n * 3 + 1}, 100)`).join(', ')
    await query(
      `INSERT INTO stamp (id, album, value) VALUES ${values} ON CONFLICT (id) DO UPDATE SET value = excluded.value + 1`,
    )
    expect(await rows()).toEqual(Array.from({ length: 8 }, (_, n) => `${n} ${n * 3} 101`))
    await query(
      `INSERT INTO stamp (id, album, value) VALUES ($1, 77, 5), ($2, 78, 6) ON CONFLICT (id) DO UPDATE SET value = excluded.value WHERE stamp.value > 1000`,
      [1, 2],
    )
    expect(await rows()).toEqual(Array.from({ length: 8 }, (_, n) => `${n} ${n * 3} 101`))
  })

  it('leaves rows out that are on another shard, by name and without', async () => {
    await some()
    for (const conflict of ['(id) DO NOTHING', 'DO NOTHING']) {
      const values = Array.from({ length: 10 }, (_, n) => `(${n}, ${n * 5 + 2}, 100)`).join(', ')
      const found = await query(
        `INSERT INTO stamp (id, album, value) VALUES ${values} ON CONFLICT ${conflict} RETURNING id`,
      )
      expect(found).toEqual(conflict === 'DO NOTHING' ? [] : [{ id: 8 }, { id: 9 }])
    }
    await stamps()
      .createQueryBuilder()
      .insert()
      .values([
        { id: 1, album: 50 },
        { id: 30, album: 51 },
      ])
      .orIgnore()
      .execute()
    expect(await rows()).toHaveLength(11)
    expect(await rows()).toContain('1 3 1')
  })

  it('takes rows of one statement with one primary key as one database does', async () => {
    await query('INSERT INTO stamp (id, album, value) VALUES (1, 1, 1), (1, 2, 2), (1, 3, 3) ON CONFLICT DO NOTHING')
    expect(await rows()).toEqual(['1 1 1'])
    await expect(
      query(
        'INSERT INTO stamp (id, album, value) VALUES (2, 1, 1), (2, 2, 2), (2, 3, 3) ON CONFLICT (id) DO UPDATE SET value = excluded.value',
      ),
    ).rejects.toMatchObject({ driverError: { code: '21000' } })
    expect(await rows()).toEqual(['1 1 1'])
  })

  it('finds rows by primary keys of all types', async () => {
    const odds = target.dataSource.getRepository(Odd)
    const odd = (n: number, value: number) => ({
      path: n % 2 ? [n, 2] : [],
      bytes: Buffer.from([0, 92, 39, n]),
      at: new Date(1_700_000_000_123 + n),
      state: n % 3 ? "it's" : 'new',
      code: n % 2 ? 'a' : '"b,',
      extra: { a: [n, null, '{"'] },
      bits: '01'.repeat(n),
      amount: `${n}.5`,
      value,
    })
    await odds.insert([1, 2, 3, 4].map((n) => odd(n, n)))
    const keys = ['path', 'bytes', 'at', 'state', 'code', 'extra', 'bits'] as const
    await odds.upsert(
      [2, 3, 4, 5].map((n) => odd(n, 10 * n)),
      [...keys],
    )
    await odds
      .createQueryBuilder()
      .insert()
      .values([3, 4, 6].map((n) => ({ ...odd(n, 100 * n), amount: '77' })))
      .orIgnore()
      .execute()
    expect((await odds.find({ order: { value: 'ASC' } })).map(({ value, amount }) => `${value} ${amount}`)).toEqual([
      '1 1.5',
      '20 2.5',
      '30 3.5',
      '40 4.5',
      '50 5.5',
      '600 77',
    ])
  })

  it('asks for many rows by a statement that is as long as for few', async () => {
    const longest = async (count: number): Promise<number> => {
      let length = 0
      const { dataSource } = target
      const end =
        dataSource instanceof ShardedDataSource &&
        dataSource.onStatement(({ text }) => {
          if (/^\W*SELECT/.test(text)) length = Math.max(length, text.length)
        })
      await stamps().upsert(
        Array.from({ length: count }, (_, id) => ({ id, album: id })),
        ['id'],
      )
      if (end) end()
      return length
    }
    expect(await longest(1_000)).toBe(await longest(10))
    expect(await stamps().count()).toBe(1_000)
  })

  it('sees what its own transaction has written', async () => {
    await target.dataSource.transaction(async (manager) => {
      await manager.insert(Stamp, { id: 1, album: 1, value: 1 })
      await manager.query('INSERT INTO stamp (id, album, value) VALUES (1, 2, 2) ON CONFLICT (id) DO NOTHING')
      await manager.upsert(Stamp, { id: 1, album: 1, value: 5 }, ['id'])
    })
    expect(await rows()).toEqual(['1 1 5'])
  })

  it('looks for primary keys of several columns', async () => {
    const leaves = target.dataSource.getRepository(Leaf)
    await leaves.insert([
      { tree: 1, name: 'a', garden: 1 },
      { tree: 1, name: 'b', garden: 2 },
      { tree: 2, name: 'a', garden: 3 },
    ])
    await query(
      `INSERT INTO leaf (tree, name, garden, value) VALUES (1, 'a', 9, 7), (1, 'b', 9, 7), (2, 'b', 9, 7) ON CONFLICT (name, tree) DO UPDATE SET value = excluded.value`,
    )
    await leaves.upsert({ tree: 2, name: 'a', garden: 3, value: 8 }, ['tree', 'name'])
    const found = await leaves.find({ order: { tree: 'ASC', name: 'ASC' } })
    expect(found.map(({ tree, name, garden, value }) => `${tree}${name} ${garden} ${value}`)).toEqual([
      '1a 1 7',
      '1b 2 7',
      '2a 3 8',
      '2b 9 7',
    ])
  })

  it('takes the keys that are stored for the keys of a row', async () => {
    const rounded = target.dataSource.getRepository(Rounded)
    const weights = ['1.05', '1.15', '1.25', '2.04999', '-1.05']
    const given = (value: number) =>
      weights.map((weight, n) => ({
        id: `${n}.05`,
        name: 'ab  ',
        weight,
        at: new Date(2024, 0, n + 1, 10, 0, 0, 500),
        value,
      }))
    const values = () => rounded.find({ order: { id: 'ASC' } }).then((found) => found.map(({ value }) => value))
    await rounded.insert(given(0))
    await rounded.upsert(given(1), ['id', 'name'])
    expect(await values()).toEqual([1, 1, 1, 1, 1])
    for (const row of given(2)) await rounded.upsert(row, ['id', 'name'])
    expect(await values()).toEqual([2, 2, 2, 2, 2])
    await rounded.upsert(
      given(3).map((row) => ({ ...row, id: Number(row.id) as never })),
      { conflictPaths: ['id', 'name'], skipUpdateIfNoValuesChanged: true },
    )
    expect(await values()).toEqual([3, 3, 3, 3, 3])
    for (const { id, name, weight, at } of given(4))
      await query(
        `INSERT INTO rounded (id, name, weight, at, value) VALUES ($1, $2, ${weight}, $3, 4)
         ON CONFLICT (name, id) DO UPDATE SET weight = excluded.weight, at = excluded.at, value = 4`,
        [id, name, at],
      )
    expect(await values()).toEqual([4, 4, 4, 4, 4])
    // Of another shard key: one row all the same.
    await query(
      `INSERT INTO rounded (id, name, weight, at) VALUES (0.05, 'ab', 9, '2024-02-02'), (1.05, 'ab ', 9, '2024-02-02'),
         (2.06, 'ab   ', 8, '2024-02-02') ON CONFLICT (id, name) DO UPDATE SET value = 5`,
    )
    await query(
      `INSERT INTO rounded (id, name, weight, at, value) VALUES (7.05, 'cd', 1, '2024-02-02', 7), (7.051, 'cd  ', 2, '2024-02-02', 8)
         ON CONFLICT DO NOTHING`,
    )
    expect(await values()).toEqual([5, 5, 5, 4, 4, 7])
  })

  it('places a row of a junction beside the rows whose stored keys it is given', async () => {
    const rounded = target.dataSource.getRepository(Rounded)
    const at = new Date(2024, 0, 1)
    await rounded.insert(['1.05', '2.05'].map((id) => ({ id, name: 'ab', weight: '1', at })))
    await query('INSERT INTO pair VALUES ($1, $2, $3, $4)', ['1.05', 'ab  ', '2.05', 'ab '])
    const [first] = await rounded.find({ where: { id: '1.1' }, relations: { others: true } })
    expect(first?.others.map(({ id }) => id)).toEqual(['2.1'])
  })

  it('refuses to set another shard key, which one database would', async () => {
    await some()
    const upsert = stamps().upsert({ id: 3, album: 1000, value: 1 }, ['id'])
    if (target.shards === 0) await upsert
    else {
      await expect(upsert).rejects.toMatchObject({ code: 'KEY_CHANGED' })
      expect(await rows()).toContain('3 9 3')
    }
  })
})
