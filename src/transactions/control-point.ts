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

/** The same of a move of a shard: before and after each of its effects. */
export const shardMoveControlPoints = Object.freeze([
  'shard-move:before-make-tables',
  'shard-move:after-make-tables',
  'shard-move:before-publish',
  'shard-move:after-publish',
  'shard-move:before-reserve-slot',
  'shard-move:after-reserve-slot',
  'shard-move:before-subscribe',
  'shard-move:subscribed',
  'shard-move:after-subscribe',
  'shard-move:before-enable',
  'shard-move:after-enable',
  'shard-move:before-await-copy',
  'shard-move:after-await-copy',
  'shard-move:before-make-indexes',
  'shard-move:after-make-indexes',
  'shard-move:before-await-lag',
  'shard-move:after-await-lag',
  'shard-move:before-reserve-way-back',
  'shard-move:after-reserve-way-back',
  'shard-move:before-verify',
  'shard-move:after-verify',
  'shard-move:before-switch',
  'shard-move:locked',
  'shard-move:before-switching',
  'shard-move:after-switching',
  'shard-move:before-rename',
  'shard-move:after-rename',
  'shard-move:after-switch',
  'shard-move:before-settle',
  'shard-move:after-settle',
  'shard-move:before-commit-epoch',
  'shard-move:epoch-committed',
  'shard-move:after-commit-epoch',
  'shard-move:before-remove-replication',
  'shard-move:subscription-removed',
  'shard-move:after-remove-replication',
  'shard-move:before-follow',
  'shard-move:followed',
  'shard-move:after-follow',
  'shard-move:before-remove-target',
  'shard-move:target-removed',
  'shard-move:after-remove-target',
  'shard-move:before-finish',
  'shard-move:source-removed',
  'shard-move:after-finish',
  'shard-move:before-verify-back',
  'shard-move:after-verify-back',
  'shard-move:before-switch-back',
  'shard-move:locked-back',
  'shard-move:before-switching-back',
  'shard-move:after-switching-back',
  'shard-move:before-leave',
  'shard-move:after-leave',
  'shard-move:after-switch-back',
  'shard-move:before-settle-back',
  'shard-move:after-settle-back',
  'shard-move:before-open-source',
  'shard-move:after-open-source',
  'shard-move:before-commit-return',
  'shard-move:return-committed',
  'shard-move:after-commit-return',
  'shard-move:before-clear',
  'shard-move:way-back-removed',
  'shard-move:after-clear',
] as const)

/** The same of a split, an isolation or a merge of shards. */
export const reshardingControlPoints = Object.freeze([
  ...(
    [
      'make-tables',
      'begin-capture',
      'copy',
      'make-indexes',
      'drain',
      'verify',
      'switch',
      'settle',
      'rename-rest',
      'complete',
      'commit-epoch',
      'clean-up',
      'remove-targets',
      'finish',
    ] as const
  ).flatMap((step) => [`resharding:before-${step}`, `resharding:after-${step}`] as const),
  'resharding:chunk-copied',
  'resharding:locked',
  'resharding:drained',
  'resharding:before-switching',
  'resharding:after-switching',
  'resharding:before-rename',
  'resharding:after-rename',
  'resharding:epoch-committed',
  'resharding:capture-removed',
] as const)

/** The name of a moment of a split, an isolation or a merge. */
export type ReshardingControlPoint = (typeof reshardingControlPoints)[number]

/** The name of a moment of a move of a shard. */
export type ShardMoveControlPoint = (typeof shardMoveControlPoints)[number]

/** The name of a moment at which a process or a server may die. */
export type ControlPoint = (typeof controlPoints)[number] | ShardMoveControlPoint | ReshardingControlPoint

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
