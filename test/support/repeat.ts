import { setTimeout as sleep } from 'node:timers/promises'

/** Work that goes on until it is told to end. */
export interface Repeated {
  /** How often it was done. @throws what the work has thrown, which ended it */
  end(): Promise<number>
}

/**
 * Does some work again and again, while a test does something else.
 *
 * @example
 * const writer = repeat((n) => repository.insert({ n }))
 * await dataSource.topology.moveShard('user_07', 'b')
 * expect(await repository.count()).toBe(await writer.end())
 */
export function repeat(work: (n: number) => Promise<unknown>): Repeated {
  let isOver = false
  const run = async (): Promise<number> => {
    let n = 0
    for (; !isOver; n++) {
      await work(n)
      // The servers of all of it share the machine.
      await sleep(5)
    }
    return n
  }
  const running = run()
  running.catch(() => undefined)
  return {
    end: () => {
      isOver = true
      return running
    },
  }
}
