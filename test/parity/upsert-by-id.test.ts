import { Column, Entity, PrimaryColumn } from 'typeorm'
import { expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onEveryTarget } from '../support/targets'

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

onEveryTarget({ entities: [Stamp, Leaf], groups: ['stamp', 'leaf'] }, (target) => {
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
