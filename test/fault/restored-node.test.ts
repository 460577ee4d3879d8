import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ShardedDataSource, type ShardedDataSourceOptions } from '../../src/index'
import { errorOf, Item, type OpenNodes, type Side, startTwoNodes, type TwoNodes } from './two-nodes'

/** Processes that start in the same second count once. */
const secondMs = 1_100

describe('a node that was restored', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const started: ShardedDataSource[] = []
  const warnings: string[] = []
  const logger = {
    log: (level: string, text: unknown) => void (level === 'warn' && warnings.push(String(text))),
    logQuery: () => undefined,
    logQueryError: () => undefined,
    logQuerySlow: () => undefined,
    logSchemaBuild: () => undefined,
    logMigration: () => undefined,
  }
  const start = async (options: Partial<ShardedDataSourceOptions> = {}) => {
    const dataSource = new ShardedDataSource({ ...open.options, logger, ...options })
    started.push(dataSource)
    return dataSource.initialize()
  }
  /** A process that starts, writes and ends. */
  const run = async (options: Partial<ShardedDataSourceOptions> = {}) => {
    await pause(secondMs)
    const dataSource = await start(options)
    await dataSource.getRepository(Item).updateAll({ value: 1 })
    await dataSource.destroy()
  }
  const databaseOf = (side: Side) => new URL(open.options.nodes[side]?.url ?? '').pathname.slice(1)
  const asAdmin = async (side: Side, ...texts: readonly string[]) => {
    const client = new Client({ connectionString: nodes.clusters[side].url() })
    await client.connect()
    try {
      for (const text of texts) await client.query(text)
    } finally {
      await client.end()
    }
  }
  /** Puts a copy of a database in its place, as the restore of a dump does. */
  const exchange = (copy: string) =>
    asAdmin(
      'right',
      `ALTER DATABASE "${databaseOf('right')}" RENAME TO "${copy}_before"`,
      `ALTER DATABASE "${copy}" RENAME TO "${databaseOf('right')}"`,
    )

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open()
    await open.dataSource.destroy()
  })
  afterEach(async () => {
    for (const one of started.splice(0)) if (one.isInitialized) await one.destroy()
    await open.close()
    warnings.length = 0
  })
  afterAll(() => nodes.stop())

  it('from an older backup is refused, until that is accepted: also the home node', async () => {
    const side = 'left'
    const restore = await nodes.clusters[side].save()
    await run()
    await restore()
    const other = 'right'
    const refusal = await errorOf(start())
    expect(refusal).toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
    expect(String(refusal)).toMatch(
      new RegExp(
        `Node ${side} \\(database [0-9a-f]{16}\\) has counted to 1, and node ${other} remembers that it had counted to 2: it was restored from an older backup.*acceptRestored: \\['${side}'\\]`,
      ),
    )
    expect(await errorOf(start({ acceptRestored: [other] }))).toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
    const accepting = await start({ acceptRestored: [side] })
    expect(await accepting.getRepository(Item).count()).toBe(10)
    await accepting.destroy()
    await run()
  })

  it('from an older dump is refused, and from a dump of its last state is not', async () => {
    const [older, last] = [`${databaseOf('right')}_older`, `${databaseOf('right')}_last`]
    await asAdmin('right', `CREATE DATABASE "${older}" TEMPLATE "${databaseOf('right')}"`)
    await run()
    await asAdmin('right', `CREATE DATABASE "${last}" TEMPLATE "${databaseOf('right')}"`)
    await exchange(older)
    const refusal = String(await errorOf(start()))
    expect(refusal).toContain('TOPOLOGY_MISMATCH')
    expect(refusal).toMatch(/Its oid of the database was \d+, and is \d+\./)
    await exchange(last)
    await run()
    expect(warnings).toEqual([
      expect.stringMatching(
        /^Node right has all that it had counted, and is elsewhere\. Its oid of the database was \d+, and is \d+\.$/,
      ),
    ])
    warnings.length = 0
    await run()
    expect(warnings).toEqual([])
  })

  it('is refused where a copy of it has gone on without it', async () => {
    const copy = `${databaseOf('right')}_copy`
    await asAdmin('right', `CREATE DATABASE "${copy}" TEMPLATE "${databaseOf('right')}"`)
    const url = new URL(open.options.nodes['right']?.url ?? '')
    url.pathname = `/${copy}`
    const ofCopy = { nodes: { ...open.options.nodes, right: { url: url.href } } }
    await run(ofCopy)
    expect(await errorOf(start())).toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
    // Both have counted as far.
    await open.query('right', `UPDATE sharding.databases SET count = 2, mark = 'another'`)
    expect(String(await errorOf(start()))).toContain('otherwise: another copy of it has gone on')
    await run(ofCopy)
  })

  it('may be so by a role that cannot ask for the server, and by one that may write nothing', async () => {
    for (const side of ['left', 'right'] as const) {
      await open.query(side, `DROP ROLE IF EXISTS reader`)
      await open.query(side, `CREATE ROLE reader LOGIN PASSWORD 'reader'`)
      for (const name of ['system', 'checkpoint'])
        await open.query(side, `REVOKE EXECUTE ON FUNCTION pg_control_${name}() FROM PUBLIC`)
      await open.query(
        side,
        `GRANT SELECT ON sharding.groups, sharding.databases, sharding.epochs, sharding.nodes, sharding.decisions, item_${side}.item TO reader`,
      )
      await open.query(side, `GRANT USAGE ON SCHEMA item_${side} TO reader`)
    }
    const as = (side: Side) => ({ ...open.options.nodes[side], username: 'reader', password: 'reader' })
    const urls = (side: Side) => {
      const url = new URL(as(side).url ?? '')
      url.username = 'reader'
      url.password = 'reader'
      return { url: url.href }
    }
    await pause(secondMs)
    const reading = await start({ nodes: { left: urls('left'), right: urls('right') } })
    expect(await reading.getRepository(Item).count()).toBe(10)
    expect(warnings.filter((text) => text.includes('elsewhere'))).toEqual([])
    await reading.destroy()
    for (const side of ['left', 'right'] as const) await open.query(side, 'DROP OWNED BY reader; DROP ROLE reader')
  })
})
