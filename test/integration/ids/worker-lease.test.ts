import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { SequenceIds } from '../../../src/catalog/sequence-ids'
import { WorkerIds } from '../../../src/catalog/worker-ids'
import { NodePool } from '../../../src/endpoints/node-pool'
import { decodeShardedId } from '../../../src/ids/decode-sharded-id'
import { type IdLayout, idLayouts } from '../../../src/ids/id-layout'
import { type IdMaker, nextId } from '../../../src/ids/id-maker'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { countDistinct, type IdProcess, startIdProcess } from './id-process'

const day = 24 * 60 * 60 * 1000

/** No table, and so no row with an id. */
const nobody = () => Promise.resolve(undefined)

describe('worker numbers', () => {
  let databases: FreshDatabases
  let url: string
  let client: Client
  let home: NodePool
  const makers: WorkerIds[] = []
  const processes: IdProcess[] = []

  beforeAll(async () => {
    databases = await createDatabases(1)
    url = databases.nodes[0] ?? ''
    client = new Client({ connectionString: url })
    await client.connect()
    home = new NodePool({
      name: 'home',
      pool: { connectionString: url, max: 5 },
      maxPrepared: 0,
      onPoolError: () => undefined,
    })
  })
  afterEach(async () => {
    await Promise.all(makers.splice(0).map((maker) => maker.close()))
    await Promise.all(processes.splice(0).map((one) => one.end()))
    await client.query('DROP TABLE IF EXISTS sharding.workers')
  })
  afterAll(async () => {
    await home.end()
    await client.end()
    await databases.drop()
  })

  const newMaker = (layout: IdLayout = idLayouts['64-bit'], now?: () => number): WorkerIds => {
    const maker = new WorkerIds(home, layout, now)
    makers.push(maker)
    return maker
  }
  const newProcess = (): IdProcess => {
    const started = startIdProcess(url)
    processes.push(started)
    return started
  }
  const workerOf = (id: string | bigint): number => decodeShardedId(id).worker ?? -1
  const worker = async (maker: IdMaker): Promise<number> => workerOf(await nextId(maker, 0))
  /** Leaves one number to be had: that which is held. */
  const takeAllOthers = () => client.query(`UPDATE sharding.workers SET expires_at = 'infinity' WHERE holder IS NULL`)
  const expireAll = () =>
    client.query(`UPDATE sharding.workers SET expires_at = now() - interval '1 second' WHERE holder IS NOT NULL`)

  it('are different for all who lease at once, with no table there yet', async () => {
    const numbers = await Promise.all(Array.from({ length: 40 }, () => worker(newMaker())))
    expect(new Set(numbers).size).toBe(40)
  })

  it('end, and are given back', async () => {
    const narrow = idLayouts['53-bit']
    const all = await Promise.all(Array.from({ length: 64 }, async () => worker(newMaker(narrow))))
    expect(all.sort((a, b) => a - b)).toEqual([...Array(64).keys()])
    const late = newMaker(narrow)
    await expect(nextId(late, 0)).rejects.toMatchObject({
      code: 'ID_WORKERS_TAKEN',
      labels: ['retryable', 'no-writes'],
      details: { kind: '53-bit' },
    })
    await makers[5]?.close()
    expect(await worker(late)).toBeGreaterThanOrEqual(0)
  })

  it('of who is gone are free when the lease has expired, and go on after what was granted', async () => {
    const gone = newMaker()
    const first = await nextId(gone, 7)
    await takeAllOthers()
    const next = newMaker()
    await expect(nextId(next, 7)).rejects.toMatchObject({ code: 'ID_WORKERS_TAKEN' })
    await expireAll()
    const second = await nextId(next, 7)
    expect(workerOf(second)).toBe(workerOf(first))
    // A minute was reserved.
    expect(decodeShardedId(second).time.getTime() - decodeShardedId(first).time.getTime()).toBeGreaterThan(59_000)
  })

  it('are not used beyond the grant by a process that was stopped past its lease', async () => {
    const stopped = newProcess()
    const before = await stopped.make({ count: 10, slot: 7 })
    await takeAllOthers()
    stopped.signal('SIGSTOP')
    await expireAll()
    const next = newMaker()
    const taken = await Promise.all(Array.from({ length: 20_000 }, () => nextId(next, 7)))
    stopped.signal('SIGCONT')
    const after = await stopped.make({ count: 40_000, slot: 7 })
    // What was granted before is its own; then it finds that it has lost its number.
    expect(after.code).toBe('ID_WORKERS_TAKEN')
    expect(after.ids.length).toBeGreaterThan(1_000)
    expect(new Set([...before.ids, ...after.ids, ...taken].map(workerOf)).size).toBe(1)
    const all = [before.ids, after.ids, new BigUint64Array(taken.map(BigInt))]
    expect(countDistinct(all)).toBe(all.reduce((sum, { length }) => sum + length, 0))
  })

  it('are replaced when they were lost', async () => {
    const maker = newMaker()
    const first = await nextId(maker, 7)
    await client.query(
      `UPDATE sharding.workers SET holder = gen_random_uuid(), expires_at = 'infinity' WHERE holder IS NOT NULL`,
    )
    const ids = await Promise.all(Array.from({ length: 20_000 }, () => nextId(maker, 7)))
    expect(new Set(ids.map(workerOf)).size).toBe(2)
    expect(workerOf(ids[0] ?? '')).toBe(workerOf(first))
    expect(new Set([first, ...ids]).size).toBe(20_001)
  })

  it('make no id twice when a process starts again at once with its clock set back', async () => {
    let ids: string[] = []
    await nextId(newMaker(), 7)
    await takeAllOthers()
    await makers[0]?.close()
    for (const back of [0, 1_000, 3_600_000]) {
      const maker = newMaker(idLayouts['64-bit'], () => Date.now() - back)
      ids = [...ids, ...(await Promise.all(Array.from({ length: 1_000 }, () => nextId(maker, 7))))]
      await maker.close()
    }
    expect(new Set(ids.map(workerOf)).size).toBe(1)
    expect(new Set(ids).size).toBe(3_000)
    expect(ids.map(BigInt)).toEqual(ids.map(BigInt).sort((a, b) => (a < b ? -1 : 1)))
  })

  it('make no ids more than a day ahead of the home node, be it by the clock or by a burst', async () => {
    const fast = newMaker(idLayouts['64-bit'], () => Date.now() + 2 * day)
    await expect(nextId(fast, 0)).rejects.toMatchObject({ code: 'ID_TOO_FAR_AHEAD', labels: ['no-writes'] })
    const maker = newMaker(idLayouts['53-bit'])
    let made = 0
    const burst = async (): Promise<void> => {
      for (; made < 400_000; made++) if (maker.take(1) === undefined) await nextId(maker, 1)
    }
    await expect(burst()).rejects.toMatchObject({ code: 'ID_TOO_FAR_AHEAD' })
    expect(made).toBeGreaterThan(345_000)
    expect(made).toBeLessThan(346_000)
    // Others slots have their own time.
    expect(await nextId(maker, 2)).toBeDefined()
  })

  it('survive that the table is dropped', async () => {
    const maker = newMaker()
    const before = await Promise.all(Array.from({ length: 100 }, () => nextId(maker, 7)))
    await client.query('DROP TABLE sharding.workers')
    const after = await Promise.all(Array.from({ length: 30_000 }, () => nextId(maker, 7)))
    expect(new Set([...before, ...after]).size).toBe(30_100)
  })

  it('let 8 processes make 4,000,000 ids with none twice', { timeout: 120_000 }, async () => {
    const started = Array.from({ length: 8 }, newProcess)
    const made = await Promise.all(started.map((one) => one.make({ count: 500_000 })))
    expect(made.map(({ code }) => code)).toEqual(Array(8).fill(undefined))
    expect(countDistinct(made.map(({ ids }) => ids))).toBe(4_000_000)
  })
})

describe('sequences', () => {
  let databases: FreshDatabases
  let home: NodePool

  beforeAll(async () => {
    databases = await createDatabases(1)
    const connectionString = databases.nodes[0] ?? ''
    home = new NodePool({
      name: 'home',
      pool: { connectionString, max: 5 },
      maxPrepared: 0,
      onPoolError: () => undefined,
    })
    await new SequenceIds(home, { name: 'ticket', most: 10n, greatestTaken: nobody }).open()
  })
  afterAll(async () => {
    await home.end()
    await databases.drop()
  })

  it('count from 1, each number once over all who count', async () => {
    const makers = Array.from(
      { length: 5 },
      () => new SequenceIds(home, { name: 'ticket', most: 2n ** 63n - 1n, greatestTaken: nobody }),
    )
    const ids = await Promise.all(
      makers.flatMap((maker) => Array.from({ length: 2_500 }, () => nextId(maker, undefined))),
    )
    expect(new Set(ids).size).toBe(12_500)
    expect(ids.map(Number).reduce((a, b) => Math.min(a, b))).toBe(1)
    expect(ids.map(Number).reduce((a, b) => Math.max(a, b))).toBeLessThanOrEqual(15_000)
  })

  it('end with the type of their column', async () => {
    const maker = new SequenceIds(home, { name: 'short', most: 3n, greatestTaken: nobody })
    const ids = await Promise.all([1, 2, 3].map(() => nextId(maker, undefined)))
    expect(ids).toEqual(['1', '2', '3'])
    await expect(nextId(maker, undefined)).rejects.toMatchObject({ code: 'ID_SEQUENCE_EXHAUSTED' })
  })
})
