import type { ReadHost } from '../../execution/execute-read'
import type { ShardAccess } from '../runners/shard-access'

/** What the executor asks of an operation: its connections or its transaction, within its limits. */
export const readHost = (access: ShardAccess): ReadHost => ({
  query: (statements) => access.query(statements),
  sortFacts: (node, collations) => access.runtime.pool(node).sortFactsWith(collations),
})
