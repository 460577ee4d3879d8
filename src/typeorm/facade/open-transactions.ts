import { ShardedError } from '../../errors/sharded-error'
import type { ControlPoints } from '../../transactions/control-point'
import type { TransactionMode } from '../../transactions/transaction-mode'
import { TwoPhase } from '../../transactions/two-phase'
import type { TransactionSettings } from '../runners/shard-runtime'
import type { NodePools } from './node-pools'

interface TransactionParts {
  readonly points: ControlPoints
  readonly warn: (text: string) => void
}

/** The mode that the options ask for, or else the best that all nodes allow. @throws ShardedError TWO_PHASE_UNAVAILABLE */
export async function openTransactions(
  asked: TransactionMode | undefined,
  pools: NodePools,
  { points, warn }: TransactionParts,
): Promise<TransactionSettings> {
  if (asked === 'best-effort' || asked === 'single-shard') return { mode: asked, twoPhase: undefined }
  if (pools.size < 2) return { mode: 'two-phase', twoPhase: undefined }
  try {
    return { mode: 'two-phase', twoPhase: await TwoPhase.open([...pools.values()], { points, warn }) }
  } catch (error) {
    if (asked === 'two-phase' || !(error instanceof ShardedError) || error.code !== 'TWO_PHASE_UNAVAILABLE') throw error
    warn(`Writes over several nodes are best-effort. ${error.message}`)
    return { mode: 'best-effort', twoPhase: undefined }
  }
}
