import { Cancellation } from '../endpoints/cancellation'

/** A node that does not answer a step of a commit for so long, in milliseconds, is taken for lost. */
const stepDeadlineMs = 30_000

/** Bounds a step of a commit: a statement that its server does not answer is ended, and its connection closed where that fails. */
export async function within<T>(
  work: (cancellation: Cancellation) => Promise<T>,
  deadlineMs = stepDeadlineMs,
): Promise<T> {
  const cancellation = new Cancellation({ deadline: { at: performance.now() + deadlineMs, deadlineMs } })
  try {
    return await work(cancellation)
  } finally {
    cancellation.close()
  }
}
