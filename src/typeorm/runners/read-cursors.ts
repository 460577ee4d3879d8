import { mergeBatches } from '../../execution/merge-batches'
import type { AskDatabase } from '../../execution/rank-values'
import type { Row } from '../../merging/row'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { OrderTerm } from '../../query/order-term'
import type { ShardAccess } from './shard-access'

/** The rows of statements, one statement after the other. All cursors are closed however the reading ends. */
export async function* readInTurn(access: ShardAccess, statements: readonly NodeStatement[]): AsyncGenerator<Row> {
  const group = access.cursors(statements)
  try {
    for (const source of group.sources) {
      for await (const batch of source) {
        for (const row of batch) {
          yield row
          group.touch()
        }
      }
    }
  } finally {
    await group.close()
  }
}

/** The rows of ordered statements, merged. All cursors are closed however the reading ends. */
export async function* readMerged(
  access: ShardAccess,
  statements: readonly NodeStatement[],
  { terms, ask }: { readonly terms: readonly OrderTerm[]; readonly ask: AskDatabase },
): AsyncGenerator<Row> {
  const group = access.cursors(statements)
  try {
    yield* mergeBatches(group.sources, terms, ask, () => group.touch())
  } finally {
    await group.close()
  }
}
