import { Column, type ColumnOptions, Entity, PrimaryColumn } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

/** One version of an entity. */
function version(options: ColumnOptions): new () => { id: number; k: unknown } {
  @Entity('item')
  @Sharded(hash({ shards: 4 }), { group: 'item' })
  class Item {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column(options) k!: unknown
  }
  return Item
}

describe.each(['schema', 'table'] as const)('synchronize of a shard key in the layout %s', (layout) => {
  let databases: FreshDatabases
  beforeEach(async () => {
    databases = await createDatabases(2)
  })
  afterEach(() => databases.drop())

  const open = (entity: new () => object) => {
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    return new ShardedDataSource({
      type: 'postgres',
      entities: [entity],
      layout,
      nodes,
      synchronize: true,
    }).initialize()
  }
  const store = async (entity: new () => { id: number; k: unknown }, keys: readonly unknown[]) => {
    const dataSource = await open(entity)
    await dataSource.getRepository(entity).insert(keys.map((k, id) => ({ id, k })) as never)
    await dataSource.destroy()
  }

  it.each<[string, ColumnOptions, ColumnOptions, unknown]>([
    ['numeric', { type: 'numeric', precision: 8, scale: 2 }, { type: 'numeric', precision: 8, scale: 1 }, '1.25'],
    ['timestamp', { type: 'timestamp', precision: 6 }, { type: 'timestamp', precision: 0 }, new Date(1e12 + 600)],
    ['int', { type: 'int', default: 5 }, { type: 'bigint', default: 5 }, 3],
    ['varchar', { type: 'varchar', length: 9, default: '' }, { type: 'varchar', length: 20, default: '' }, 'x'],
    ['another column', { type: 'int', nullable: true }, { type: 'int', nullable: true, name: 'other' }, 3],
  ])('is refused before anything changes: %s', async (_, before, after, key) => {
    const first = version(before)
    await store(first, [key])
    await expect(open(version(after))).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
    const again = await open(first)
    expect(await again.getRepository(first).find()).toEqual([expect.objectContaining({ id: 0, k: key })])
    expect(await again.verifyPlacement(first)).toMatchObject([{ rows: 1, misplaced: 0 }])
    await again.destroy()
  })

  it('goes on where no row is stored, and where the tables were changed before', async () => {
    const narrow = version({ type: 'varchar', length: 9 })
    const wide = version({ type: 'varchar', length: 20 })
    await store(narrow, [])
    await store(wide, ['x', 'y', 'z'])
    const text = version({ type: 'text' })
    await expect(open(text)).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
    const dataSource = await open(wide)
    for (const { name } of dataSource.shards()) {
      const table = layout === 'schema' ? `"${name}"."item"` : `public."${name}"`
      await dataSource.shard(name).query(`ALTER TABLE ${table} ALTER k TYPE text`)
    }
    await dataSource.destroy()
    const after = await open(text)
    expect(await after.verifyPlacement(text)).toMatchObject([{ rows: 3, misplaced: 0 }])
    await after.destroy()
  })

  it('leaves every type of key alone that is as it was', { timeout: 60_000 }, async () => {
    const types: ColumnOptions[] = [
      { type: 'smallint' },
      { type: 'int8' },
      { type: 'decimal' },
      { type: 'float8' },
      { type: 'char', length: 3 },
      { type: 'varchar' },
      { type: 'enum', enum: ['1', '2'] },
      { type: 'uuid' },
      { type: 'bool' },
      { type: 'date' },
      { type: 'timestamptz' },
      { type: 'timestamptz', precision: 3 },
      { type: 'timestamp without time zone', precision: 0 },
      { type: 'bytea' },
    ]
    const keyOf = ({ type }: ColumnOptions): unknown => {
      if (type === 'uuid') return '6f1c2f5e-0c4e-4b1c-9a53-0d3f4b7a1e10'
      if (type === 'bytea') return Buffer.from('1')
      return String(type).startsWith('timestamp') || type === 'date' ? '2024-01-01T00:00:00Z' : '1'
    }
    for (const type of types) {
      await databases.drop()
      databases = await createDatabases(2)
      const entity = version(type)
      await store(entity, [keyOf(type)])
      await (await open(entity)).destroy()
    }
  })
})
