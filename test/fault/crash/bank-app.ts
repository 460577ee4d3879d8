import 'reflect-metadata'
import { ShardedDataSource } from '../../../src/index'
import { createRng } from '../../differential/rng'
import { bankOptions, moveCard, quiet, type Transfer, transfer, type Urls, writeMembers } from './bank'

/** What the test tells the application to do. */
export interface AppTask {
  readonly urls: Urls
  /** Die when this control point has been reached for the nth time. */
  readonly point: string
  readonly nth: number
  readonly seed: number
}

/** What the application tells the test. */
export type AppMessage = { readonly ready: true } | { readonly transfer: Transfer } | { readonly survived: true }

/** Transfers at once, and of each worker, with a move of a card and a write of members after each: enough for every point to come up. */
const workers = 3
const transfersEach = 40

const say = (message: AppMessage): Promise<void> =>
  new Promise((resolve) => {
    if (process.send) process.send(message, () => resolve())
    else resolve()
  })

/** A program that makes transfers and moves until it dies at its control point, by SIGKILL: nothing of it is cleaned up. */
async function run({ urls, point, nth, seed }: AppTask): Promise<void> {
  const dataSource = new ShardedDataSource({ ...bankOptions(urls), logger: quiet })
  let reached = 0
  dataSource.onControlPoint((at) => {
    if (at !== point) return
    reached += 1
    if (reached === nth) process.kill(process.pid, 'SIGKILL')
  })
  await dataSource.initialize()
  const work = async (worker: number): Promise<void> => {
    const random = createRng(seed + worker)
    for (let index = 0; index < transfersEach; index++) {
      await say({ transfer: await transfer(dataSource, random) })
      await moveCard(dataSource, random)
      await writeMembers(dataSource, random)
    }
  }
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
  // What had been left prepared just before the start was too young for the recovery there; the next comes after seconds.
  if (point.startsWith('recovery:')) await dataSource.recoverTransactions()
  await say({ survived: true })
  process.exit(0)
}

process.once('message', (task: AppTask) => void run(task))
void say({ ready: true })
