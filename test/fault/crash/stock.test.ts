import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ControlPoint, ShardedDataSource, ShardedError } from '../../../src/index'
import { createRng } from '../../differential/rng'
import { type Cluster, startCluster } from '../../support/cluster'
import { type FreshDatabases, freshDatabases } from '../../support/fresh-databases'
import { shareOf } from '../../support/share-of'
import { Applications } from './applications'
import type { Urls } from './bank'
import { compileProgram } from './compile'
import {
  doWork,
  Good,
  Grain,
  goodCount,
  goods,
  grainCount,
  grains,
  inBatches,
  keepWriting,
  openStock,
  pageCount,
  stockOptions,
  untouched,
  type Work,
} from './stock'
import type { StockTask } from './stock-app'

type Victim = 'application' | 'left' | 'right'

interface Round extends Pick<StockTask, 'work' | 'nth'> {
  readonly victim: Victim
  readonly point: ControlPoint | 'row' | 'page'
}

const round = (work: Work, victim: Victim, point: Round['point'], nth = 1): Round => ({ work, victim, point, nth })

/** CRASH_ROUNDS, as in `crash.test.ts`: from 100 on all of these, and above that a tenth of it at random points too. */
const asked = Number(process.env['CRASH_ROUNDS'] ?? 0)
const seed = Number(process.env['CRASH_SEED'] ?? (asked > 100 ? Date.now() % 2 ** 31 : 1))
const always: readonly Round[] = [
  round('load', 'application', 'row', 4_000),
  round('load', 'right', 'row', 4_000),
  round('load', 'application', 'commit:after-prepare'),
  round('load in batches', 'left', 'row', 4_321),
  round('load', 'left', 'commit:after-decision'),
  round('load in batches', 'application', 'row', 4_321),
  round('build', 'application', 'page', 5),
  round('build', 'application', 'commit:after-decision', 11),
  round('build', 'left', 'page', 3),
  round('build', 'right', 'commit:before-decision', 10),
]
const loadPoints: readonly Round['point'][] = [
  'row',
  'lookup:captured',
  'lookup:written',
  'commit:before-prepare',
  'commit:after-prepare',
  'commit:before-decision',
  'commit:after-decision',
  'commit:after-finish',
]
const buildPoints: readonly Round['point'][] = ['page', 'commit:after-prepare', 'commit:after-decision']
const victims: readonly Victim[] = ['application', 'left', 'right']
const more: readonly Round[] = [
  ...loadPoints.map((point, index) =>
    round('load', victims[index % 3] ?? 'left', point, point === 'row' ? goodCount : 1),
  ),
  ...victims.flatMap((victim) => buildPoints.map((point, index) => round('build', victim, point, 2 + 5 * index))),
]

function roundsOf(): readonly Round[] {
  const rng = createRng(seed)
  const random = Array.from({ length: asked > 100 ? Math.floor(asked / 10) : 0 }, () => {
    const work = rng.pick<Work>(['load', 'load in batches', 'build'])
    const victim = rng.pick(victims)
    if (work === 'load in batches') return round(work, victim, 'row', 1 + rng.int(grainCount))
    const point = rng.pick(work === 'load' ? loadPoints : buildPoints)
    if (point === 'row') return round(work, victim, point, 1 + rng.int(goodCount))
    // Between the last page of one lookup and the first of the next, that lookup is complete, or not yet.
    const page = 1 + rng.int(pageCount / 2 - 1) + (rng.oneIn(2) ? pageCount / 2 : 0)
    return round(work, victim, point, work === 'load' ? 1 : page)
  })
  return [...(asked >= 100 ? [...always, ...more] : shareOf(always)), ...random]
}

describe(`a stock whose loads and builds are killed (seed ${seed})`, () => {
  let clusters: Readonly<Record<'left' | 'right', Cluster>>
  let apps: Applications<StockTask, unknown>
  let databases: FreshDatabases
  let urls: Urls

  beforeAll(async () => {
    const [left, right] = await Promise.all([startCluster({ name: 'left' }), startCluster({ name: 'right' })])
    clusters = { left, right }
    apps = new Applications(await compileProgram(join(__dirname, 'stock-app.ts')))
  }, 60_000)
  beforeEach(async () => {
    databases = await freshDatabases([clusters.left.url(), clusters.right.url()], 2)
    urls = [databases.nodes[0] ?? '', databases.nodes[1] ?? '']
  })
  afterEach(() => databases.drop())
  afterAll(async () => {
    await apps.stop()
    await Promise.all([clusters.left.stop(), clusters.right.stop()])
  })

  /** The application lives, and its server is back when the work has ended. Returns how it ended, and its pages. */
  const killServer = async (side: 'left' | 'right', { work, point, nth }: Round): Promise<End> => {
    const dataSource = new ShardedDataSource(stockOptions(urls))
    const counts = new Map<string, number>()
    let back: Promise<void> | undefined
    const reach = async (at: string): Promise<void> => {
      const reached = (counts.get(at) ?? 0) + 1
      counts.set(at, reached)
      if (at !== point || reached !== nth) return
      const dead = clusters[side].kill()
      back = dead.then(() => clusters[side].restart())
      await dead
    }
    dataSource.onControlPoint(reach)
    await dataSource.initialize()
    const error = await doWork(dataSource, work, reach).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(back).toBeDefined()
    await back
    await dataSource.destroy()
    const pages = counts.get('page') ?? 0
    // A page may have been kept by a server that died before it said so.
    return { error, pages: [pages, pages + 1] }
  }

  const kill = async (one: Round): Promise<End> => {
    if (one.victim !== 'application') return killServer(one.victim, one)
    const { work, point, nth } = one
    expect(await apps.run({ urls, work, point, nth })).toMatchObject({ wasKilled: true })
    return { error: undefined, pages: [point === 'page' ? nth : nth - 1] }
  }

  /** Another process, after it has ended what was left prepared. */
  const survivor = async (): Promise<ShardedDataSource> => {
    const dataSource = await new ShardedDataSource(stockOptions(urls)).initialize()
    const deadline = performance.now() + 10_000
    while ((await preparedOn(urls)) > 0 && performance.now() < deadline) {
      await dataSource.recoverTransactions()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return dataSource
  }

  const rounds = (work: Work) => roundsOf().filter((one) => one.work === work)
  const title = '$victim is killed at $point ($nth)'

  it.each(rounds('load'))(`load is all or nothing: ${title}`, { timeout: 60_000 }, async (one) => {
    await openStock(urls, 'load')
    const { error } = await kill(one)
    const dataSource = await survivor()
    const stored = await dataSource.getRepository(Good).find({ order: { id: 'ASC' } })
    expect([[], goods()]).toContainEqual(stored)
    if (error instanceof ShardedError && error.has('no-writes')) expect(stored).toEqual([])
    const reports = await dataSource.verifyLookups()
    expect(reports.map(difference)).toEqual([clean(stored.length), clean(stored.length)])
    expect(await dataSource.verifyPlacement(Good)).toMatchObject([{ rows: stored.length, misplaced: 0, listed: [] }])
    expect(await preparedOn(urls)).toBe(0)
    if (stored.length === 0) await dataSource.getRepository(Good).load(goods())
    expect(await dataSource.getRepository(Good).findOneBy({ code: 'code 77' })).toEqual(goods()[77])
    await dataSource.destroy()
  })

  it.each(rounds('load in batches'))(`a load in batches goes on: ${title}`, { timeout: 60_000 }, async (one) => {
    await openStock(urls, 'load in batches')
    await kill(one)
    const dataSource = await survivor()
    const repository = dataSource.getRepository(Grain)
    const before = await repository.count()
    const { shards } = await repository.load(grains(), { ...inBatches, resume: true })
    expect(shards.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(before)
    expect(shards.reduce((sum, { rows }) => sum + rows, 0)).toBe(grainCount - before)
    expect(await repository.find({ order: { id: 'ASC' } })).toEqual(grains())
    expect(await preparedOn(urls)).toBe(0)
    await dataSource.destroy()
  })

  it.each(rounds('build'))(`a build goes on, beside writes: ${title}`, { timeout: 60_000 }, async (one) => {
    await openStock(urls, 'build')
    const writer = await new ShardedDataSource(stockOptions(urls)).initialize()
    const writing = keepWriting(writer)
    const { pages: first } = await kill(one)
    const dataSource = await survivor()
    // The first half of the pages are those of the lookup by code.
    expect(await lookedUp(dataSource)).toEqual(one.nth <= pageCount / 2 ? [] : ['good_code_lookup'])
    let second = 0
    await dataSource.buildLookups({
      onProgress: () => {
        second += 1
      },
    })
    expect(first).toContain(pageCount - second)
    expect(await writing.stop()).toBeGreaterThan(0)
    expect(await lookedUp(dataSource)).toEqual(['good_code_lookup', 'good_shelf_lookup'])
    const stored = await dataSource.getRepository(Good).count()
    const reports = await dataSource.verifyLookups()
    expect(reports.map(difference)).toEqual([clean(stored), clean(stored)])
    expect(await dataSource.verifyPlacement(Good)).toMatchObject([{ rows: stored, misplaced: 0, listed: [] }])
    expect(await preparedOn(urls)).toBe(0)
    await Promise.all([dataSource.destroy(), writer.destroy()])
  })
})

/** How work ended that a server died in. */
interface End {
  readonly error: unknown
  /** How many pages of a build may have been kept. */
  readonly pages: readonly number[]
}

const difference = ({
  entries,
  missing,
  dangling,
}: Awaited<ReturnType<ShardedDataSource['verifyLookups']>>[number]) => ({
  entries,
  missing,
  dangling,
})

const clean = (entries: number) => ({ entries, missing: [], dangling: [] })

/** The lookups that reads use, told by what is sent. */
async function lookedUp(dataSource: ShardedDataSource): Promise<readonly string[]> {
  const texts: string[] = []
  const end = dataSource.onStatement(({ text }) => texts.push(text))
  const repository = dataSource.getRepository(Good)
  expect(await repository.findBy({ code: 'code 0' })).toEqual([untouched])
  expect(await repository.findBy({ shelf: untouched.shelf })).toContainEqual(untouched)
  end()
  return ['good_code_lookup', 'good_shelf_lookup'].filter((name) => texts.some((text) => text.includes(name)))
}

async function preparedOn(urls: Urls): Promise<number> {
  const counts = await Promise.all(
    urls.map(async (connectionString) => {
      const client = new Client({ connectionString })
      await client.connect()
      const { rows } = await client.query(
        'SELECT count(*)::int AS n FROM pg_prepared_xacts WHERE database = current_database()',
      )
      await client.end()
      return Number(rows[0].n)
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
