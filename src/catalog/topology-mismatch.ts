import { ShardedError } from '../errors/sharded-error'

/** What of a group differs, on which node. */
export interface Mismatch {
  readonly group: string
  readonly node: string
  readonly differences: readonly string[]
  /** The tables whose rows alone are concerned; undefined: all of the group. */
  readonly tables?: readonly string[]
}

/** @param hint what was looked at besides, as a sentence */
export function topologyMismatch(mismatches: readonly Mismatch[], hint = ''): ShardedError {
  const text = mismatches.map(
    ({ group, node, differences }) => `Group "${group}", as node ${node} has it: ${differences.join('; ')}.`,
  )
  return new ShardedError('TOPOLOGY_MISMATCH', [...text, ...(hint === '' ? [] : [hint])].join(' '), {
    details: { mismatches },
  })
}
