import { createOnce, ownTable } from '../../catalog/own-table'
import type { NodePool } from '../../endpoints/node-pool'
import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { definitionOf } from '../../lookups/lookup-table'
import { tableOn } from '../../planning/bind-shard-names'
import type { LookupBinding, Lookups } from '../binding/lookups'
import type { ShardRuntime } from '../runners/shard-runtime'

/** How far a lookup is, as the home node keeps it. */
export interface LookupState {
  readonly isReady: boolean
  /** By shard of the entity: the primary key up to which its rows are entered, or null where all are. */
  readonly progress: Readonly<Record<string, readonly string[] | null>>
}

/** The states of lookups in the table `lookups` of the home node. */
export class LookupStates {
  constructor(private readonly home: Pick<NodePool, 'name' | 'ownSchema' | 'query'>) {}

  private get table(): string {
    return ownTable(this.home, 'lookups')
  }

  create(): Promise<void> {
    return createOnce(
      this.home,
      'lookups',
      `CREATE TABLE IF NOT EXISTS ${this.table} ("name" text PRIMARY KEY, "definition" text NOT NULL, "is_ready" boolean NOT NULL, "progress" jsonb NOT NULL DEFAULT '{}', "changed_at" timestamptz NOT NULL DEFAULT now())`,
    )
  }

  async drop(): Promise<void> {
    await this.home.query(`DROP TABLE IF EXISTS ${this.table}`)
  }

  /** By name; without those of another declaration, and none where nothing was installed. */
  async load(bindings: readonly LookupBinding[]): Promise<ReadonlyMap<string, LookupState>> {
    const { rows } = await this.home
      .query(`SELECT "name", "definition", "is_ready", "progress" FROM ${this.table}`)
      .catch((error: unknown) => {
        if (sqlState(error) === undefinedTable) return { rows: [] }
        throw error
      })
    const states = new Map<string, LookupState>()
    for (const { table, shards } of bindings) {
      const row = rows.find(({ name }: { name: string }) => name === table.name)
      if (row?.definition === definitionOf(table, shards.length))
        states.set(table.name, { isReady: row.is_ready, progress: row.progress })
    }
    return states
  }

  async save({ table, shards }: LookupBinding, { isReady, progress }: LookupState): Promise<void> {
    await this.home.query(
      `INSERT INTO ${this.table} AS s ("name", "definition", "is_ready", "progress") VALUES ($1, $2, $3, $4) ON CONFLICT ("name") DO UPDATE SET "definition" = excluded."definition", "is_ready" = excluded."is_ready", "progress" = excluded."progress", "changed_at" = now()`,
      [table.name, definitionOf(table, shards.length), isReady, JSON.stringify(progress)],
    )
  }
}

/** Asks the home node which lookups are complete. */
export async function askReady({ all }: Lookups, states: LookupStates): Promise<readonly string[]> {
  const known = await states.load(all)
  return [...known].filter(([, { isReady }]) => isReady).map(([name]) => name)
}

export async function loadReady(lookups: Lookups, states: LookupStates): Promise<void> {
  lookups.setReady(await askReady(lookups, states))
}

/**
 * Records lookups that are new, or declared otherwise than before, after their tables and triggers were made: complete where
 * there are no rows to be found, since all that come later are noted; else to be built.
 */
export async function recordLookups(runtime: ShardRuntime, states: LookupStates): Promise<void> {
  const { lookups } = runtime
  await states.create()
  const known = await states.load(lookups.all)
  for (const binding of lookups.all) {
    const { name } = binding.table
    if (known.has(name)) continue
    const isReady = await isEmpty(binding, runtime)
    await states.save(binding, { isReady, progress: {} })
    if (!isReady)
      runtime.warn(`The lookup ${name} is not used until buildLookups() has entered the rows that there are.`)
  }
  await loadReady(lookups, states)
}

async function isEmpty({ source, table }: LookupBinding, runtime: ShardRuntime): Promise<boolean> {
  for (const shard of source.shards) {
    const text = `SELECT EXISTS (SELECT FROM ${tableOn(table.source.table, shard)}) AS "isThere"`
    const { rows } = await runtime.pool(shard.node).query(text)
    if (rows[0]?.isThere) return false
  }
  return true
}
