import type { ControlPoint, ControlPoints } from '../../src/transactions/control-point'

/** A process of a test that drives a change of shards. */
interface DrivingProcess {
  readonly host: { readonly points: ControlPoints }
  readonly end: () => Promise<void>
}

/** The promise resolves when the process has come to the point, where it stays until it is told to go on. */
export function stopAt({ host }: Pick<DrivingProcess, 'host'>, stop: ControlPoint) {
  let goOn = (): void => undefined
  const reached = new Promise<void>((resolve) => {
    host.points.listen((point) => {
      if (point !== stop) return
      resolve()
      return new Promise<void>((go) => {
        goOn = go
      })
    })
  })
  return { reached, goOn: () => goOn() }
}

/** Lets a process work until it dies at a point: its connections end, and nothing more is done. */
export async function dieAt(process: DrivingProcess, point: ControlPoint, work: () => Promise<unknown>): Promise<void> {
  const { reached } = stopAt(process, point)
  const working = work()
  working.catch(() => undefined)
  await Promise.race([reached, working.then(() => Promise.reject(new Error(`${point} was not reached.`)))])
  await process.end()
}
