import type { GatherHost } from '../../execution/execute-gather'
import { askHome, type StatementContext } from './statement-run'

/** How a gather reaches the nodes: the query over the copies goes where a statement of the node goes. */
export function gatherHost(context: StatementContext): GatherHost {
  const { access } = context
  return {
    query: (statements) => access.query(statements),
    sortFacts: (node, collations) => access.sortFacts(node, collations),
    finish: async ({ node, shard, text, parameters }) => {
      if (!shard) return askHome(text, parameters, context)
      const [rows = []] = await access.query([{ node, shards: [shard.name], text, parameters }])
      return rows
    },
  }
}
