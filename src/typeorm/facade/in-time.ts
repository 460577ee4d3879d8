import { atMost } from '../../endpoints/at-most'
import { defaultDestroyMs } from '../../endpoints/node-pool'
import { longestTimerMs } from '../../model/limits'

/** What is tidied up at the end does not wait for a silent node: others find what is left. @throws what the work throws in time */
export async function inTime(work: Promise<unknown> | undefined, destroyMs: number = defaultDestroyMs): Promise<void> {
  if (!work) return
  let failure: unknown
  await atMost(
    Math.min(destroyMs, longestTimerMs),
    work.catch((error: unknown) => {
      failure = error
    }),
  )
  if (failure) throw failure
}
