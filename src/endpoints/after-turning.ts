/** A wait is counted in so many slices. */
const slices = 8

/**
 * Calls `done` when the event loop has turned for so many milliseconds. Time in which the loop was blocked counts as two
 * slices of the wait at most, and the sockets are read once more before `done`: an answer that came while the program
 * computed is not late. The returned function ends the wait. `Infinity` never ends.
 *
 * @example const off = afterTurning(10_000, () => socket.destroy())
 */
export function afterTurning(milliseconds: number, done: () => void): () => void {
  if (milliseconds === Number.POSITIVE_INFINITY) return () => undefined
  const slice = milliseconds / slices
  let left = milliseconds
  let last = performance.now()
  let isOver = false
  const look = (): void => {
    const now = performance.now()
    left -= Math.min(now - last, 2 * slice)
    last = now
    if (left > 0) timer = setTimeout(look, Math.min(slice, left)).unref()
    else setImmediate(() => isOver || done())
  }
  let timer = setTimeout(look, slice).unref()
  return () => {
    isOver = true
    clearTimeout(timer)
  }
}
