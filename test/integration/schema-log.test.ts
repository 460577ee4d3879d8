import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src'
import { createDatabases } from '../support/databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Parade {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column({ type: 'enum', enum: ['short', 'long'] }) length!: string
}

@Entity()
class Town {
  @PrimaryColumn('int') id!: number
}

/** What TypeORM's `schema:log` and `migration:generate` print. */
const logOf = async (dataSource: ShardedDataSource): Promise<readonly string[]> => {
  const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
  return upQueries.map(({ query }) => query)
}

describe.each(['schema', 'table'] as const)('the schema log of layout %s', (layout) => {
  let databases: Awaited<ReturnType<typeof createDatabases>>
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    dataSource = new ShardedDataSource({ type: 'postgres', entities: [Parade, Town], nodes, layout })
    await dataSource.initialize()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('tells every statement with its node and shard, under the names that the tables will have', async () => {
    const statements = await logOf(dataSource)
    const places = new Set(statements.map((statement) => /^\/\* (.*?) \*\/ /.exec(statement)?.[1]))
    const shards = dataSource.shards(Parade).map(({ name, node }) => `node ${node}, shard ${name}`)
    expect([...places]).toEqual(['node a', ...shards])
    expect(statements.filter((statement) => statement.includes('__shard__'))).toEqual([])
  })

  it('makes the schema when each statement is run on its node, and then is empty', async () => {
    const statements = await logOf(dataSource)
    for (const [index, node] of ['a', 'b'].entries()) {
      const client = new Client({ connectionString: databases.nodes[index] })
      await client.connect()
      for (const statement of statements) if (statement.startsWith(`/* node ${node}`)) await client.query(statement)
      await client.end()
    }
    expect(await logOf(dataSource)).toEqual([])
    await dataSource.getRepository(Parade).save([1, 2, 3, 4, 5].map((id) => ({ id, length: 'long' })))
    expect(await dataSource.getRepository(Parade).count()).toBe(5)
  })
})
