import type { MoveState } from '../rebalancing/shard-move-state'

/** What the databases and the driver of a resharding know of it. All of it is looked at anew before each step. */
export interface ReshardingFacts {
  /** Statements that are missing before rows can be copied. */
  readonly lacksBefore: number
  /** Changes of every source are noted. */
  readonly isCapturing: boolean
  /** Tables of sources whose rows were copied once, of all. */
  readonly copiedTables: number
  readonly tables: number
  readonly lacksAfter: number
  /** Notes that are not copied yet. */
  readonly notes: number
  readonly maxNotes: number
  /** This driver has seen all rows alike on both sides. */
  readonly isVerified: boolean
  /** Sources that have left their place. */
  readonly renamedSources: number
  readonly sources: number
  /** Statements that are missing at the targets before they take the sources' place. */
  readonly lacksLast: number
  readonly isEpochCommitted: boolean
}

/** One thing that a driver does. */
export type ReshardingStep =
  | 'make-tables'
  | 'begin-capture'
  | 'copy'
  | 'make-indexes'
  | 'drain'
  | 'verify'
  | 'switch'
  | 'settle'
  | 'rename-rest'
  | 'complete'
  | 'commit-epoch'
  | 'clean-up'
  | 'finish'
  | 'remove-targets'
  /** The state is done: the next one is stored. */
  | 'advance'
  /** Nothing is to be done until somebody asks. */
  | 'rest'

/** What is to be done next: the pure half of `docs/spec/resharding.md`. */
export function nextReshardingStep(state: MoveState, facts: ReshardingFacts): ReshardingStep {
  switch (state) {
    case 'planned':
      if (facts.lacksBefore > 0) return 'make-tables'
      return facts.isCapturing ? 'advance' : 'begin-capture'
    case 'copying':
      if (facts.copiedTables < facts.tables) return 'copy'
      return facts.lacksAfter > 0 ? 'make-indexes' : 'advance'
    case 'catching-up':
      return facts.notes > facts.maxNotes ? 'drain' : 'advance'
    case 'verifying':
      return facts.isVerified ? 'switch' : 'verify'
    case 'switching':
      if (facts.renamedSources === 0) return 'settle'
      if (facts.renamedSources < facts.sources) return 'rename-rest'
      if (facts.isEpochCommitted) return 'clean-up'
      return facts.lacksLast > 0 ? 'complete' : 'commit-epoch'
    case 'finishing':
      return 'finish'
    case 'cancelling':
      return 'remove-targets'
    default:
      return 'rest'
  }
}
