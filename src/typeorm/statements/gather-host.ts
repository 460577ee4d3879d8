import { ShardedError } from '../../errors/sharded-error'
import type { GatherHost, InputHost } from '../../execution/execute-gather'
import { rowBudgetOf } from '../../execution/operation'
import type { ShardAccess } from '../runners/shard-access'
import { deferred } from '../writes/deferred-transaction'
import { askHome, type StatementContext } from './statement-run'

/** How the tables of a statement are read. @throws ShardedError ROW_BUDGET_EXCEEDED */
export function inputHost(context: Pick<StatementContext, 'access' | 'home'>): InputHost {
  const { access } = context
  return {
    budget: access.runtime.gatherBudget,
    query: (statements) => access.query(statements),
    sortFacts: (node, collations) => access.sortFacts(node, collations),
    home: async ({ table, text, parameters }) => {
      const rows = await askHome(text, parameters, context)
      const rowBudget = rowBudgetOf(access.operation)
      if (rows.length <= rowBudget) return rows
      throw new ShardedError('ROW_BUDGET_EXCEEDED', `The table ${table} gave more rows than rowBudget, ${rowBudget}.`, {
        details: { table, rowBudget },
      })
    },
  }
}

/** How a gather reaches the nodes: the query over the copies goes where a statement of the node goes. */
export function gatherHost(context: StatementContext): GatherHost {
  const { access, openRunner } = context
  return {
    ...inputHost(context),
    finish: async ({ node, shard, text, parameters }) => {
      if (!shard) return askHome(text, parameters, context)
      return askNode(access, { node, shards: [shard.name], text, parameters })
    },
    temporarily: async ({ node, shard }, work) => {
      const runner = deferred(openRunner)()
      try {
        await runner.startTransaction()
        const inner = access.within(runner)
        return await work(({ text, parameters }) =>
          askNode(inner, { node, shards: shard ? [shard.name] : [], text, parameters }),
        )
      } finally {
        if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined)
        await runner.release()
      }
    },
  }
}

async function askNode(access: ShardAccess, statement: Parameters<ShardAccess['query']>[0][number]) {
  const [rows = []] = await access.query([statement])
  return rows
}
