import type { ClientBase } from 'pg'
import { isNumbered, type ScriptTable } from './script-tables'
import type { StatementFacts } from './statement-facts'

export interface SkipContext {
  readonly client: ClientBase
  readonly tables: readonly ScriptTable[]
  tableOf(name: { schemaname?: string; relname?: string }): Promise<ScriptTable | undefined>
}

const citusName =
  /^(?:citus|master_|worker_|run_command|get_shard|shard_name|create_intermediate|read_intermediate|broadcast_intermediate|fetch_intermediate|isolate_tenant|get_rebalance|coord_comb|recover_prepared|update_distributed|mark_|start_metadata|stop_metadata|alter_distributed|undistribute|create_distributed|create_reference|remove_local|column_to_column|partition_task|poolinfo|truncate_local|explain_|plan_|coordinator_plan|test_)/

/** Why a statement is not compared; undefined where it is. */
export async function reasonToSkip(facts: StatementFacts, context: SkipContext): Promise<string | undefined> {
  if (facts.functions.some((name) => citusName.test(name))) return 'calls a function of Citus'
  if (facts.functions.some((name) => /^(?:next|curr|set|last)val$/.test(name))) return 'draws from a sequence'
  for (const relation of facts.relations) {
    const { schemaname, relname = '' } = relation
    if (schemaname === 'pg_catalog' || schemaname === 'information_schema' || /^(?:pg|citus)_/.test(relname))
      return 'reads a catalog'
    const table = await context.tableOf(relation)
    if (!table) {
      if (!schemaname && facts.withNames.has(relname)) continue
      return 'names a table that was not made'
    }
    if (table.kind === 'v' || table.kind === 'm') return 'reads a view'
    if (table.isPartition) return 'names a partition'
    const isTarget = facts.targets.some((target) => target.relname === relname)
    const numbered = table.columns.filter(isNumbered)
    if (
      isTarget &&
      numbered.some(({ name }) => facts.kind !== 'insert … select' || !facts.insertColumns?.includes(name))
    )
      return 'draws from a sequence'
  }
  const tables = await Promise.all(facts.relations.map((relation) => context.tableOf(relation)))
  if (!tables.some((table) => table)) return 'reads no table'
  return readingFunction(facts, context)
}

/** A function that reads tables itself is not what a statement says. */
async function readingFunction(facts: StatementFacts, { client, tables }: SkipContext): Promise<string | undefined> {
  if (facts.functions.length === 0) return undefined
  const { rows } = await client.query<{ source: string }>(
    `SELECT p.prosrc AS source FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
     WHERE p.proname = ANY($1) AND n.nspname <> 'pg_catalog' AND l.lanname IN ('sql', 'plpgsql')`,
    [facts.functions],
  )
  const isReading = rows.some(({ source }) =>
    tables.some(({ name }) => new RegExp(String.raw`\b${name}\b`, 'i').test(source)),
  )
  return isReading ? 'calls a function that reads tables' : undefined
}
