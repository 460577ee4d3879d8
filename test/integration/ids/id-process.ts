import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { IdsMade, IdsWanted } from './make-ids'

/** A process that makes ids, with a worker number of its own. */
export interface IdProcess {
  make(wanted: IdsWanted): Promise<IdsMade>
  signal(signal: NodeJS.Signals): void
  end(): Promise<void>
}

/** Starts a process that makes ids under worker numbers of a home node. */
export function startIdProcess(homeUrl: string): IdProcess {
  const child = fork(join(__dirname, 'make-ids.ts'), [homeUrl], {
    execArgv: ['-r', '@swc-node/register'],
    serialization: 'advanced',
  })
  return {
    make: async (wanted) => {
      const answer = once(child, 'message')
      child.send(wanted)
      const [made] = await answer
      return made as IdsMade
    },
    signal: (signal) => void child.kill(signal),
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** How many values there are, each counted once. */
export function countDistinct(parts: readonly BigUint64Array[]): number {
  const all = new BigUint64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let start = 0
  for (const part of parts) {
    all.set(part, start)
    start += part.length
  }
  all.sort()
  return all.reduce((count, id, index) => (index > 0 && id === all[index - 1] ? count : count + 1), 0)
}
