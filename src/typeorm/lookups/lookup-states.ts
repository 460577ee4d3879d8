import { createOnce } from '../../catalog/own-table'
import type { NodePool } from '../../endpoints/node-pool'
import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { definitionOf } from '../../lookups/lookup-table'
import { quoted } from '../../values/quoted'
import type { LookupBinding } from '../binding/lookup-binding'

/** How far a lookup is, as the home node keeps it. */
export interface LookupState {
  readonly isReady: boolean
  /** By shard of the entity: the primary key up to which its rows are entered, or null where all are. */
  readonly progress: Readonly<Record<string, readonly string[] | null>>
}

/** The states of lookups in the table `sharding_lookup` of the home node. */
export class LookupStates {
  constructor(private readonly home: Pick<NodePool, 'name' | 'facts' | 'query'>) {}

  private get table(): string {
    return `${quoted(this.home.facts.searchSchema)}."sharding_lookup"`
  }

  create(): Promise<void> {
    return createOnce(
      this.home,
      this.table,
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
