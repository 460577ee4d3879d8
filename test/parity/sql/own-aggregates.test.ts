import { Client } from 'pg'
import { beforeAll, describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('an aggregate of the name of one of PostgreSQL', () => {
  const sides = openSides()

  beforeAll(async () => {
    const urls = new Set<string>()
    for (const dataSource of [sides.plain(), ...sides.sharded().map((side) => side.dataSource)]) {
      const { nodes, url } = dataSource.options as { nodes?: Record<string, { url: string }>; url?: string }
      for (const one of nodes ? Object.values(nodes).map((node) => node.url) : [url ?? '']) urls.add(one)
    }
    for (const connectionString of urls) {
      const client = new Client({ connectionString })
      await client.connect()
      await client.query(`CREATE SCHEMA IF NOT EXISTS app;
        CREATE OR REPLACE FUNCTION app.higher(bigint, int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
        CREATE OR REPLACE AGGREGATE app.sum(int) (sfunc = app.higher, stype = bigint, initcond = '0')`)
      await client.end()
    }
  })

  it.each([
    'SELECT app.sum(qty) AS n FROM ord',
    'SELECT status, app.sum(qty) AS n, sum(qty) AS s, pg_catalog.sum(id) AS t FROM ord GROUP BY status ORDER BY status',
  ])('is not finished from halves: %s', (text) => expectAlike(sides, text))
})
