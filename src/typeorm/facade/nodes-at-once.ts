import type { Limit } from 'p-limit'

const maxNodesAtOnce = 16

/** A queue of work on nodes, of which some are asked at once. */
export function nodesAtOnce(): Limit {
  // Not imported: nothing is asked before a data source is initialised.
  const pLimit: typeof import('p-limit') = require('p-limit')
  return pLimit(maxNodesAtOnce)
}
