import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableOn } from '../../../src/planning/bind-shard-names'
import { driveMove, finishMove, revertMove, startMove } from '../../../src/rebalancing/shard-moves'
import {
  describeShard,
  type Layout,
  leftovers,
  type MovingWorld,
  openWorld,
  shardOf,
} from '../../integration/rebalancing/moving-shard'
import { type Cluster, startCluster } from '../../support/cluster'
import { freshDatabases } from '../../support/fresh-databases'

const sides = ['a', 'b'] as const

/** Each on a server that asks for passwords: PostgreSQL lets nobody but a superuser subscribe without one. */
describe('a role that is no superuser', () => {
  let clusters: Readonly<Record<'a' | 'b', Cluster>>
  beforeAll(async () => {
    const [a, b] = await Promise.all([startCluster({ name: 'source' }), startCluster({ name: 'target' })])
    clusters = { a, b }
    for (const side of sides) {
      await asAdmin(side, `CREATE ROLE "mover" LOGIN PASSWORD 'mover' CREATEROLE`)
    }
  })
  afterAll(() => Promise.all([clusters.a.stop(), clusters.b.stop()]))

  const asAdmin = async (side: 'a' | 'b', text: string, url = clusters[side].url()): Promise<void> => {
    const { Client } = await import('pg')
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query(text).finally(() => client.end())
  }

  const asMover = (url: string): string => {
    const own = new URL(url)
    own.username = own.password = 'mover'
    return own.href
  }

  it.each<Layout>(['schema', 'table'])(
    'moves a shard of the layout %s with what the refusals say',
    { timeout: 60_000 },
    async (layout) => {
      const databases = await freshDatabases([clusters.a.url(), clusters.b.url()], 2)
      const grant = async (side: 'a' | 'b', text: string): Promise<void> =>
        asAdmin(
          side,
          text.replace('$db', new URL(databases.nodes[side === 'a' ? 0 : 1] ?? '').pathname.slice(1)),
          databases.nodes[side === 'a' ? 0 : 1],
        )
      for (const side of sides) await grant(side, 'GRANT ALL ON SCHEMA public TO "mover"')
      for (const side of sides) await grant(side, 'GRANT CREATE ON DATABASE "$db" TO "mover"')
      await grant('a', 'ALTER ROLE "mover" NOREPLICATION')
      for (const side of sides) await grant(side, 'REVOKE pg_create_subscription FROM "mover"')
      await grant('b', 'ALTER ROLE "mover" NOREPLICATION')
      const world: MovingWorld = await openWorld(databases.nodes.map(asMover), layout, 100)
      try {
        for (const side of sides) await grant(side, 'REVOKE CREATE ON DATABASE "$db" FROM "mover"')
        const { host } = await world.process()
        const before = await describeShard(world, 'a', layout)
        const error: unknown = await startMove(host, world.request(layout)).catch((reason: unknown) => reason)
        const { missing } = (error as { details: { missing: readonly { node: 'a' | 'b'; fix: string }[] } }).details
        const database = (side: 'a' | 'b') => new URL(world.urls[side]).pathname.slice(1)
        expect(missing.map(({ node, fix }) => `${node}: ${fix}`)).toEqual([
          'a: ALTER ROLE mover REPLICATION',
          'a: ALTER ROLE mover REPLICATION',
          `a: GRANT CREATE ON DATABASE ${database('a')} TO mover`,
          'b: GRANT pg_create_subscription TO mover',
          `b: GRANT CREATE ON DATABASE ${database('b')} TO mover`,
          'b: ALTER ROLE mover REPLICATION',
          'b: ALTER ROLE mover REPLICATION',
          'a: GRANT pg_create_subscription TO mover',
        ])
        for (const { node, fix } of missing) await grant(node, fix)
        const { id } = await startMove(host, world.request(layout))
        expect((await driveMove(host, id)).state).toBe('switched')
        const withoutValues = (described: unknown): unknown =>
          JSON.parse(JSON.stringify(described).replace(/"last_value":[^,}]*/g, '"last_value":0'))
        expect(withoutValues(await describeShard(world, 'b', layout))).toEqual(withoutValues(before))
        const insert = `INSERT INTO ${tableOn('user', shardOf(layout))} ("id", "name") VALUES (5000, 'new')`
        await world.sql('b', insert)
        expect((await revertMove(host, id)).state).toBe('reverted')
        await expect(world.sql('a', insert)).rejects.toMatchObject({ code: '23505' })
        const again = await startMove(host, world.request(layout))
        await driveMove(host, again.id)
        await expect(world.sql('a', insert)).rejects.toMatchObject({ code: '42P01' })
        await finishMove(host, again.id)
        for (const side of sides) expect(await leftovers(world, side)).toEqual([])
      } finally {
        await world.close()
        await databases.drop()
      }
    },
  )
})
