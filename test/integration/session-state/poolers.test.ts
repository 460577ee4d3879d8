import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, type ShardedDataSourceOptions, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { hasPooler, type Pooler, startPooler } from '../../support/pooler'

@Entity()
@Sharded(hash({ shards: 4 }))
class Parcel {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('double precision')
  weight!: number

  @Column('int', { default: 0 })
  scans!: number
}

/** In session mode each connection of a client has one; in the other they share fewer than they are. */
const serverConnections = { session: 40, transaction: 6 } as const

const ids = Array.from({ length: 60 }, (_, id) => id)

describe.runIf(hasPooler()).each(['session', 'transaction'] as const)('behind pgbouncer in %s mode', (mode) => {
  const poolSize = serverConnections[mode]
  let databases: FreshDatabases
  let pooler: Pooler
  const opened: ShardedDataSource[] = []
  const warnings: string[] = []
  const logger = { log: (_: string, text: string) => void warnings.push(text) }

  const open = async (
    options: Partial<ShardedDataSourceOptions> = {},
    urls = pooler.urls,
  ): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = urls
    // Six transactions may hold all six servers, and one of them then ask what a function is: see exhausted-pooler.test.ts.
    const past = urls === pooler?.urls && mode === 'transaction' ? databases.nodes : []
    const way = (url: string, directUrl: string | undefined) => ({ url, ...(directUrl !== undefined && { directUrl }) })
    const silent = ['logQuery', 'logQueryError', 'logQuerySlow', 'logSchemaBuild', 'logMigration'] as const
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Parcel],
      nodes: { a: way(a, past[0]), b: way(b, past[1]) },
      poolSize: 3,
      logger: Object.assign({ ...logger }, ...silent.map((name) => ({ [name]: () => undefined }))),
      ...options,
    })
    opened.push(dataSource)
    return dataSource.initialize()
  }
  const onServers = async (text: string): Promise<void> => {
    for (const connectionString of databases.nodes) {
      const client = new Client({ connectionString })
      await client.connect()
      await client.query(text.replace('$database', new URL(connectionString).pathname.slice(1)))
      await client.end()
    }
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    const direct = await open({}, databases.nodes)
    await direct.synchronize()
    await direct.getRepository(Parcel).insert(ids.map((id) => ({ id, weight: id / 7 })))
    pooler = await startPooler({ mode, urls: databases.nodes, poolSize })
  })
  afterAll(async () => {
    for (const dataSource of opened) if (dataSource.isInitialized) await dataSource.destroy()
    await pooler?.stop()
    await databases?.drop()
  })

  it('many clients at once read, write and commit what they would without', async () => {
    warnings.length = 0
    const clients = [await open(), await open(), await open()]
    expect(warnings.some((text) => text.includes('transaction mode'))).toBe(mode === 'transaction')
    const named: boolean[] = []
    for (const client of clients) client.onStatement(({ prepared }) => named.push(prepared))
    await Promise.all(
      clients.flatMap((client, index) =>
        Array.from({ length: 2 }, async () => {
          const parcels = client.getRepository(Parcel)
          for (const id of ids.slice(index * 5, index * 5 + 10)) {
            expect(await parcels.findOneBy({ id })).toMatchObject({ id, weight: id / 7 })
            expect(await parcels.count()).toBe(ids.length)
            await parcels.increment({ id }, 'scans', 1)
          }
          await client.transaction(async (manager) => {
            await manager.query('SELECT set_config($1, $2, true)', ['app.client', String(index)])
            await manager.increment(Parcel, { id: index }, 'scans', 1)
            await manager.increment(Parcel, { id: index + 10 }, 'scans', 1)
            expect(await manager.query(`SELECT DISTINCT current_setting('app.client') AS client FROM parcel`)).toEqual([
              { client: String(index) },
            ])
          })
          const page = await parcels.find({ order: { weight: 'DESC' }, take: 5, skip: 3 })
          expect(page.map(({ id }) => id)).toEqual([56, 55, 54, 53, 52])
        }),
      ),
    )
    expect(await clients[0]?.getRepository(Parcel).sum('scans')).toBe(6 * 10 + 6 * 2)
    expect(named.some(Boolean)).toBe(mode === 'session')
    await clients[2]?.getRepository(Parcel).updateAll({ scans: () => 'scans + 1' })
    expect(await clients[0]?.getRepository(Parcel).sum('scans')).toBe(6 * 10 + 6 * 2 + ids.length)
    let streamed = 0
    for await (const _ of clients[1]?.getRepository(Parcel).stream({ order: { weight: 'ASC' } }) ?? []) streamed += 1
    expect(streamed).toBe(ids.length)
    for (const client of clients) await client.destroy()
  })

  it('a named read never runs another client’s statement, though names are forced', async () => {
    const reader = await open({ preparedStatements: { max: 100 } })
    const writer = await open({ preparedStatements: { max: 100 } })
    const stray = 1_000
    for (let round = 0; round < 30; round++) {
      await Promise.all([
        reader.getRepository(Parcel).findOneBy({ id: round }),
        writer.getRepository(Parcel).delete({ id: stray + round }),
        reader.getRepository(Parcel).count(),
        writer.getRepository(Parcel).increment({ id: stray }, 'scans', 1),
      ])
    }
    expect(await reader.getRepository(Parcel).count()).toBe(ids.length)
    for (const id of ids) expect(await reader.getRepository(Parcel).findOneBy({ id })).toMatchObject({ id })
  })

  it('settings that values need are had, or the start is refused', async () => {
    await onServers('ALTER DATABASE "$database" SET extra_float_digits = 0')
    const fresh = await startPooler({ mode, urls: databases.nodes, poolSize })
    try {
      if (mode === 'transaction') {
        await expect(open({}, fresh.urls)).rejects.toMatchObject({
          code: 'SESSION_SETTINGS_DIFFER',
          details: { setting: 'extra_float_digits', own: '0', wanted: '1' },
        })
        return
      }
      const dataSource = await open({}, fresh.urls)
      expect(await dataSource.getRepository(Parcel).findOneBy({ id: 1 })).toMatchObject({ weight: 1 / 7 })
      expect(await dataSource.query('SHOW extra_float_digits')).toEqual([{ extra_float_digits: '1' }])
      await dataSource.destroy()
    } finally {
      await onServers('ALTER DATABASE "$database" RESET extra_float_digits')
      await fresh.stop()
    }
  })

  it('what a RESET gives back is not what all sessions have: nobody else reads with it', async () => {
    if (mode === 'transaction') return
    await onServers('ALTER DATABASE "$database" SET extra_float_digits = 0')
    const fresh = await startPooler({ mode, urls: databases.nodes, poolSize })
    try {
      const dataSource = await open({ poolSize: 1 }, fresh.urls)
      const parcels = dataSource.getRepository(Parcel)
      for (const text of [
        'RESET ALL',
        'DISCARD ALL',
        'RESET extra_float_digits',
        'SET extra_float_digits TO DEFAULT',
      ]) {
        await dataSource.query(text)
        expect([text, await dataSource.query('SHOW extra_float_digits')]).toEqual([text, [{ extra_float_digits: '1' }]])
      }
      await dataSource
        .transaction(async (manager) => {
          await manager.query('RESET ALL')
          await expect(manager.find(Parcel)).rejects.toMatchObject({ code: 'SESSION_NOT_HELD' })
        })
        .catch(() => undefined)
      await parcels.acrossShards().query('DISCARD ALL')
      const rows = await parcels.find({ order: { id: 'ASC' } })
      expect(rows.map(({ weight }) => weight)).toEqual(ids.map((id) => id / 7))
      await dataSource.destroy()
    } finally {
      await onServers('ALTER DATABASE "$database" RESET extra_float_digits')
      await fresh.stop()
    }
  })

  it('what outlives a transaction holds in a session, and is refused where there is none', async () => {
    const dataSource = await open()
    const runner = dataSource.createQueryRunner()
    for (const text of ["SET app.client = 'x'", 'LISTEN news', "SELECT set_config('app.client', 'x', false)"]) {
      const sent = runner.query(text)
      if (mode === 'session') await sent
      else await expect(sent).rejects.toMatchObject({ code: 'SESSION_STATEMENT_UNSUPPORTED' })
    }
    await runner.query('BEGIN')
    await runner.query("SET LOCAL app.client = 'y'")
    expect(await runner.query(`SELECT DISTINCT current_setting('app.client') AS v FROM parcel`)).toEqual([{ v: 'y' }])
    await runner.query('ROLLBACK')
    await runner.release()
  })
})
