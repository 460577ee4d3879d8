import 'reflect-metadata'
import { ShardedDataSource } from '../../../src/index'
import type { Urls } from './bank'
import { doWork, stockOptions, type Work } from './stock'

/** What the test tells the application to do. */
export interface StockTask {
  readonly urls: Urls
  readonly work: Work
  /** Die when this control point, or that of the work itself, has been reached for the nth time. */
  readonly point: string
  readonly nth: number
}

/** Does its work until it dies by SIGKILL: nothing of it is cleaned up. */
async function run({ urls, work, point, nth }: StockTask): Promise<void> {
  const dataSource = new ShardedDataSource(stockOptions(urls))
  let reached = 0
  const reach = (at: string): void => {
    if (at !== point) return
    reached += 1
    if (reached === nth) process.kill(process.pid, 'SIGKILL')
  }
  dataSource.onControlPoint(reach)
  await dataSource.initialize()
  await doWork(dataSource, work, reach)
  process.exit(0)
}

process.once('message', (task: StockTask) => void run(task))
process.send?.({ ready: true })
