import 'reflect-metadata'
import { Client } from 'pg'
import { Column, Entity, Generated, Index, ManyToOne, PrimaryColumn, type Relation, Unique } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../src'
import { createDatabases } from '../support/databases'

@Entity()
@Sharded(hash({ shards: 4 }))
@Unique('guest_name', ['id', 'name'])
class Guest {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Index('guest_by_name') @Column({ length: 20 }) name!: string
}

@Entity()
@Sharded({ colocatedWith: () => Guest })
class Stay {
  @ShardedId('sequence') @PrimaryColumn('bigint', { primaryKeyConstraintName: 'stay_pk' }) id!: string
  @ShardKey() @Column('int') guestId!: number
  @ManyToOne(() => Guest) guest!: Relation<Guest>
}

@Entity()
class Rate {
  @PrimaryColumn('int') id!: number
  @Index('rate_by_name') @Column({ length: 20 }) name!: string
  @Generated('uuid') @Column('uuid') code!: string
}

describe.each(['schema', 'table'] as const)('synchronize in the layout %s', (layout) => {
  let databases: Awaited<ReturnType<typeof createDatabases>>
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    dataSource = new ShardedDataSource({ type: 'postgres', entities: [Guest, Stay, Rate], nodes, layout })
    await dataSource.initialize()
    await dataSource.synchronize()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  const onNodes = async (text: string): Promise<string[]> => {
    const found: string[] = []
    for (const connectionString of databases.nodes) {
      const client = new Client({ connectionString })
      await client.connect()
      const { rows } = await client.query(text)
      await client.end()
      found.push(...rows.map((row: { value: string }) => row.value))
    }
    return found.sort()
  }

  /** Tables by their names without the shard's. */
  const lengthsOfName = () =>
    onNodes(`SELECT split_part(table_name, '_', 1) || ' ' || character_maximum_length AS value
             FROM information_schema.columns WHERE column_name = 'name' AND character_maximum_length IS NOT NULL`)
  const uniqueIndices = () =>
    onNodes(`SELECT c.relname AS value FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             WHERE i.indisunique AND c.relname ~ '_by_name'`)
  const suffixed = (name: string): string[] =>
    ['00', '01', '02', '03'].map((label) => (layout === 'schema' ? name : `${name}_${label}`))

  it('makes of every table what the metadata of the data source says after it was changed', async () => {
    expect(await lengthsOfName()).toEqual([...Array<string>(4).fill('guest 20'), 'rate 20'])
    expect(await uniqueIndices()).toEqual([])
    for (const target of [Guest, Rate]) {
      const metadata = dataSource.getMetadata(target)
      const [index] = metadata.indices
      if (index) index.isUnique = true
      Object.assign(metadata.findColumnWithPropertyName('name') ?? {}, { length: '50' })
    }
    await dataSource.synchronize()
    expect(await lengthsOfName()).toEqual([...Array<string>(4).fill('guest 50'), 'rate 50'])
    expect(await uniqueIndices()).toEqual([...suffixed('guest_by_name'), 'rate_by_name'].sort())
  })

  it('leaves the extensions of the home node to the start of the data source, as plain TypeORM does', async () => {
    const sent: string[] = []
    const end = dataSource.onStatement(({ text }) => {
      if (text.startsWith('CREATE EXTENSION')) sent.push(text)
    })
    await dataSource.synchronize()
    end()
    expect(sent).toEqual([])
  })

  it('leaves the metadata as it was, and has nothing to change the second time', async () => {
    const metadata = dataSource.getMetadata(Stay)
    const state = () => ({
      path: metadata.tablePath,
      name: metadata.tableName,
      key: metadata.primaryColumns[0]?.primaryKeyConstraintName,
      isGenerated: metadata.primaryColumns[0]?.isGenerated,
      foreignKeys: metadata.foreignKeys.map(({ name, referencedTablePath }) => [name, referencedTablePath]),
      indices: dataSource.getMetadata(Guest).indices.map(({ name }) => name),
    })
    const before = state()
    const sent: string[] = []
    const end = dataSource.onStatement(({ text }) => {
      if (/^(ALTER|CREATE (?!SCHEMA IF NOT EXISTS|EXTENSION)|DROP)/.test(text)) sent.push(text)
    })
    await dataSource.synchronize()
    end()
    expect(sent).toEqual([])
    expect(state()).toEqual(before)
    expect(before).toMatchObject({ path: '__shard__.stay', name: 'stay', key: 'stay_pk', isGenerated: true })
  })
})
