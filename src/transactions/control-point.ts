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
] as const)

export type ControlPoint = (typeof controlPoints)[number]

/** Called at a control point, which waits for it; `node` where the point is of one node. */
export type ControlPointListener = (point: ControlPoint, node: string | undefined) => void | Promise<void>
