/** Moments of a write over several nodes at which a process or a server may die; tests let them die there. */
export const controlPoints = Object.freeze([
  'commit:start',
  'commit:recorded',
  'commit:before-prepare',
  'commit:after-prepare',
  'commit:before-decision',
  'commit:after-decision',
  'commit:before-finish',
  'commit:after-finish',
  'commit:before-undo',
  'commit:after-undo',
  'commit:before-forget',
  'recovery:before-resolve',
  'recovery:resolved',
  'move:locked',
  'move:removed',
  'move:put',
  'lookup:captured',
  'on-delete:noted',
  'on-delete:done',
  'lookup:written',
  'reference:locked',
  'reference:noted',
  'reference:applied',
] as const)

/** The name of a moment at which a process or a server may die. */
export type ControlPoint = (typeof controlPoints)[number]

/** Called at a control point, which waits for it; `node` where the point is of one node. */
export type ControlPointListener = (point: ControlPoint, node: string | undefined) => void | Promise<void>

/** Who listens at the control points of one data source. */
export class ControlPoints {
  private readonly listeners = new Set<ControlPointListener>()

  constructor(private readonly warn: (text: string) => void) {}

  /** The returned function ends it. */
  listen(listener: ControlPointListener): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Tells all listeners, one after the other. One that fails is logged: a commit cannot stop in the middle. */
  async reach(point: ControlPoint, node?: string): Promise<void> {
    for (const listener of this.listeners) {
      try {
        await listener(point, node)
      } catch (error) {
        this.warn(`A listener failed at ${point}. ${String(error)}`)
      }
    }
  }
}
