import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../../src/index'
import { controlPoints as allPoints, type ControlPoint } from '../../../src/transactions/control-point'
import { createRng } from '../../differential/rng'
import { type Cluster, startCluster } from '../../support/cluster'
import { freshDatabases } from '../../support/fresh-databases'
import { Applications } from './applications'
import {
  bankOptions,
  cardCount,
  moveCard,
  openBank,
  quiet,
  readBank,
  type Transfer,
  transfer,
  type Urls,
  wholeBalance,
  writeMembers,
} from './bank'
import type { AppMessage, AppTask } from './bank-app'
import { compileProgram } from './compile'

type Victim = 'application' | 'left' | 'right'

interface Round {
  readonly point: ControlPoint
  readonly victim: Victim
  readonly nth: number
  readonly seed: number
}

/** CRASH_ROUNDS=1000 is the nightly run, with random points; the seed is printed, and CRASH_SEED repeats it. */
/** The bank has no reference tables and no relations between shards: `reference-tables.test.ts` and `on-delete.test.ts` kill at their points. */
const controlPoints = allPoints.filter((point) => !/^(?:reference|on-delete):/.test(point))
const rounds = Number(process.env['CRASH_ROUNDS'] ?? Math.ceil(controlPoints.length / 3))
const isRandom = rounds > 100
const seed = Number(process.env['CRASH_SEED'] ?? (isRandom ? Date.now() % 2 ** 31 : 1))
const recoveryDeadlineMs = 10_000
/** In the round of a killed server: transfers at once, and of each worker; more where the point has not come up yet. */
const workers = 3
const transfersEach = 8
const mostTransfers = 100

const victims: readonly Victim[] = ['application', 'left', 'right']
const combinations = controlPoints.flatMap((point) => victims.map((victim) => ({ point, victim })))

/** Every point in turn, and of each point every victim; at random in the nightly run. */
function roundsOf(count: number): readonly Round[] {
  const rng = createRng(seed)
  return Array.from({ length: count }, (_, index) => {
    const turn = Math.floor(index / controlPoints.length)
    // Fewer rounds than points are spread over them.
    const place = count < controlPoints.length ? Math.floor((index * controlPoints.length) / count) : index
    const inTurn = {
      point: controlPoints[place % controlPoints.length] ?? 'commit:start',
      victim: victims[(index + turn) % victims.length] ?? 'application',
    }
    const chosen = isRandom ? rng.pick(combinations) : inTurn
    const isRare = /undo|recovery/.test(chosen.point)
    return { ...chosen, nth: isRare ? 1 : 1 + rng.int(3), seed: rng.int(2 ** 31) }
  })
}

describe(`a bank whose processes and servers are killed ${rounds} times (seed ${seed})`, () => {
  let clusters: Readonly<Record<'left' | 'right', Cluster>>
  let apps: Applications<AppTask, AppMessage>
  let urls: Urls
  let slowestRecovery = 0
  let killed = 0
  const told = new Map<string, Transfer['told']>()
  const remember = (transfers: readonly Transfer[]): void => {
    for (const one of transfers) told.set(one.id, one.told)
  }

  beforeAll(async () => {
    const [left, right] = await Promise.all([startCluster({ name: 'left' }), startCluster({ name: 'right' })])
    clusters = { left, right }
    const { nodes } = await freshDatabases([left.url(), right.url()], 2)
    urls = [nodes[0] ?? '', nodes[1] ?? '']
    apps = new Applications(await compileProgram(join(__dirname, 'bank-app.ts')))
    await (await openBank(urls)).destroy()
  })
  afterAll(async () => {
    console.info(
      `crashes: ${killed} kills in ${rounds} rounds, ${told.size} transfers, slowest recovery ${slowestRecovery} ms`,
    )
    await apps.stop()
    await Promise.all([clusters.left.stop(), clusters.right.stop()])
  })

  const killApplication = async ({ point, nth, seed: own }: Omit<Round, 'victim'>): Promise<void> => {
    const { wasKilled, messages } = await apps.run({ urls, point, nth, seed: own })
    remember(messages.flatMap((message) => ('transfer' in message ? message.transfer : [])))
    expect(wasKilled).toBe(true)
    killed += 1
  }

  /** The application lives, and goes on while the server is down and after it has come back. */
  const killServer = async (side: 'left' | 'right', { point, nth, seed: own }: Round): Promise<void> => {
    const dataSource = new ShardedDataSource({
      ...bankOptions(urls),
      logger: {
        log() {},
        logQuery() {},
        logQueryError() {},
        logQuerySlow() {},
        logSchemaBuild() {},
        logMigration() {},
      },
    })
    let reached = 0
    let back: Promise<void> | undefined
    dataSource.onControlPoint(async (at) => {
      if (at !== point || back) return
      reached += 1
      if (reached < nth) return
      killed += 1
      const dead = clusters[side].kill()
      back = dead.then(() => clusters[side].restart())
      await dead
    })
    try {
      await dataSource.initialize()
      const work = async (worker: number): Promise<void> => {
        const rng = createRng(own + worker)
        for (let index = 0; index < mostTransfers && (index < transfersEach || !back); index++) {
          remember([await transfer(dataSource, rng)])
          await moveCard(dataSource, rng)
          await writeMembers(dataSource, rng)
        }
      }
      await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
      // Recovery runs by itself every second; on a fast machine the transfers have ended before its first run.
      if (!back && point.startsWith('recovery:')) await dataSource.recoverTransactions()
    } finally {
      await back
      if (dataSource.isInitialized) await dataSource.destroy()
    }
    expect(back).toBeDefined()
  }

  /** Leaves prepared transactions behind, for recovery to die over. */
  const leavePrepared = async (own: number): Promise<void> => {
    await killApplication({
      point: own % 2 === 0 ? 'commit:before-decision' : 'commit:before-finish',
      nth: 1,
      seed: own,
    })
  }

  it.each(roundsOf(rounds))('$victim is killed at $point ($nth, seed $seed)', { timeout: 60_000 }, async (round) => {
    if (round.point.startsWith('recovery:')) await leavePrepared(round.seed)
    if (round.victim === 'application') await killApplication(round)
    else await killServer(round.victim, round)

    const started = performance.now()
    const survivor = await new ShardedDataSource({ ...bankOptions(urls), logger: quiet }).initialize()
    let state = await readBank(urls)
    while (state.prepared > 0 && performance.now() - started < recoveryDeadlineMs) {
      await survivor.recoverTransactions()
      await new Promise((resolve) => setTimeout(resolve, 20))
      state = await readBank(urls)
    }
    slowestRecovery = Math.max(slowestRecovery, Math.round(performance.now() - started))
    const lookups = await survivor.verifyLookups()
    const placement = await survivor.verifyPlacement()
    await survivor.destroy()

    expect(lookups.map(({ missing, dangling }) => ({ missing, dangling }))).toEqual([whole, whole])
    expect(placement.filter(({ misplaced }) => misplaced > 0)).toEqual([])
    expect(state.prepared).toBe(0)
    expect({ balance: state.balance, wrong: state.wrong }).toEqual({ balance: wholeBalance, wrong: [] })
    expect(state.cards).toEqual(Array.from({ length: cardCount }, () => 'whole'))
    const halves = [...state.entries].filter(([, amounts]) => amounts.length !== 2 || sum(amounts) !== 0)
    expect(halves).toEqual([])
    const lies = [...told].filter(
      ([id, what]) => what !== 'unknown' && state.entries.has(id) !== (what === 'committed'),
    )
    expect(lies).toEqual([])
  })

  it('has killed as often as it was asked to', () => {
    expect(killed).toBeGreaterThanOrEqual(rounds)
    expect(told.size).toBeGreaterThan(rounds)
  })
})

/** A lookup that finds all rows, and nothing else. */
const whole = { missing: [], dangling: [] }

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
