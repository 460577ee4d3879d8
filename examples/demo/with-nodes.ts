import { type Cluster, startCluster } from '../../test/support/cluster'

const endings = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Somebody ended the program, by Ctrl-C for example. */
export class Interrupted extends Error {
  constructor(
    signal: string,
    /** The exit code that shells expect after the signal. */
    readonly exitCode: number,
  ) {
    super(`Interrupted by ${signal}.`)
  }
}

/**
 * Starts three PostgreSQL servers for the time of `work`. They are stopped, and their folders removed, when it ends or
 * fails, on Ctrl-C, and when this process is killed.
 *
 * @throws Interrupted
 */
export const withNodes = async (work: (a: Cluster, b: Cluster, c: Cluster) => Promise<void>): Promise<void> => {
  const interrupted = new Promise<never>((_, reject) => {
    for (const [signal, code] of Object.entries(endings))
      process.once(signal, () => reject(new Interrupted(signal, code)))
  })
  const names = ['demo-a', 'demo-b', 'demo-c'] as const
  const starting = Promise.allSettled(names.map((name) => startCluster({ name })))
  const run = async (): Promise<void> => {
    const started = (await starting).map((one) => {
      if (one.status === 'rejected') throw one.reason
      return one.value
    })
    const [a, b, c] = started
    if (a && b && c) await work(a, b, c)
  }
  try {
    await Promise.race([run(), interrupted])
  } finally {
    const started = await starting
    await Promise.all(started.map((one) => (one.status === 'fulfilled' ? one.value.stop() : undefined)))
  }
}
