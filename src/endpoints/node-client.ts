import { Client, type PoolConfig } from 'pg'
import { afterTurning } from './after-turning'
import { answersOf } from './connection-errors'
import { internalsOf } from './pg-internals'
import type { SilenceWatch, Waiting } from './silence-watch'

type Connected = (error: Error) => void

export interface ClientSettings {
  /** Bound of connecting, login included. */
  readonly connectTimeoutMs: number
  readonly watch: Pick<SilenceWatch, 'begin' | 'end'>
}

/**
 * The class of pg's clients for one pool, whose connecting is bounded by the time in which the event loop turned, and is
 * watched for silence. pg's own bound is a timer: after the loop was blocked it fires before the answer is read.
 */
export function nodeClient({ connectTimeoutMs, watch }: ClientSettings): new (config: PoolConfig) => Client {
  return class NodeClient extends Client {
    override connect(): Promise<Client>
    override connect(callback: Connected): void
    override connect(callback?: Connected): Promise<Client> | undefined {
      if (!callback)
        return new Promise((resolve, reject) => this.connect((error) => (error ? reject(error) : resolve(this))))
      const { stream } = internalsOf(this).connection
      const waiting: Waiting = { destroy: (reason) => stream.destroy(reason) }
      watch.begin(waiting)
      const off = afterTurning(connectTimeoutMs, () =>
        stream.destroy(new Error(`it was not connected within ${connectTimeoutMs} ms`)),
      )
      super.connect((error: Error) => {
        off()
        watch.end(waiting, !error || answersOf(error))
        callback(error)
      })
      return undefined
    }
  }
}
