import type { NodePool } from '../../endpoints/node-pool'
import { askTriggers, captureTriggers, createCapture, dropCapture, dropTriggers } from '../../lookups/capture-sql'
import { createLookup, dropLookup } from '../../lookups/lookup-sql'
import { definitionOf } from '../../lookups/lookup-table'
import { tableOn } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { literal } from '../../values/literal'
import type { LookupBinding, Lookups } from '../binding/lookups'
import type { ShardRuntime } from '../runners/shard-runtime'
import { ensureSchema } from '../schema/ensure-schema'
import { buildLookups } from './build-lookups'
import { drainCaptured } from './enter-entries'
import type { BuildLookupsOptions, LookupMaintenance, LookupReport } from './lookup-maintenance'
import { askReady, LookupStates, loadReady, recordLookups } from './lookup-states'
import { repairLookups, verifyLookups } from './verify-lookups'

interface AdministrationSettings extends Pick<LookupMaintenance, 'openRunner'> {
  readonly runtime: ShardRuntime
  /** Does some work on every node, nodes at once. */
  readonly eachNode: (work: (pool: NodePool) => Promise<void>) => Promise<void>
}

/** What a data source does to its lookups as a whole; where there are none, nothing is sent. */
export class LookupAdministration {
  private readonly maintenance: LookupMaintenance

  constructor(private readonly settings: AdministrationSettings) {
    const { runtime, openRunner } = settings
    this.maintenance = { runtime, openRunner, states: new LookupStates(runtime.pool(runtime.map.home)) }
  }

  private get lookups(): ShardRuntime['lookups'] {
    return this.settings.runtime.lookups
  }

  private get isNeeded(): boolean {
    return this.lookups.all.length > 0
  }

  /** Asks which lookups are complete. Where the home node does not answer, reads use none until it does. */
  async load(): Promise<void> {
    const { runtime } = this.settings
    if (this.isNeeded && !runtime.pool(runtime.map.home).isAbsent)
      await loadReady(this.lookups, this.maintenance.states)
  }

  /** Asks the same beside what others do. */
  askReady(): Promise<readonly string[]> {
    const { runtime } = this.settings
    return askReady(this.lookups, new LookupStates(runtime.pool(runtime.map.home).background))
  }

  /** Makes on a shard what lookups need there. */
  install(shard: Shard): Promise<void> {
    return installLookups(this.lookups, shard, this.settings.runtime.pool(shard.node))
  }

  uninstall(shard: Shard): Promise<void> {
    return uninstallLookups(this.lookups, shard, this.settings.runtime.pool(shard.node))
  }

  /** After the tables are there: what is new and has nothing to find is complete. */
  async settle(): Promise<void> {
    if (this.isNeeded) await recordLookups(this.settings.runtime, this.maintenance.states)
  }

  /** Forgets which lookups are complete: their tables are about to go. */
  async dropStates(): Promise<void> {
    if (!this.isNeeded) return
    await this.maintenance.states.drop()
    this.lookups.setReady([])
  }

  /** See `ShardedDataSource.buildLookups`, as of the three that follow. */
  async build(options: BuildLookupsOptions): Promise<void> {
    const { runtime, eachNode } = this.settings
    if (!this.isNeeded && this.lookups.apartKeys.size === 0) return
    await eachNode(async ({ name }) => {
      for (const shard of runtime.map.shards.values()) if (shard.node === name) await this.install(shard)
    })
    if (!this.isNeeded) return
    await this.settle()
    await buildLookups(this.maintenance, options)
  }

  verify(): Promise<readonly LookupReport[]> {
    return verifyLookups(this.maintenance)
  }

  async repair(): Promise<readonly LookupReport[]> {
    await this.drain()
    return repairLookups(this.maintenance)
  }

  async drain(): Promise<number> {
    const shards = new Set(this.lookups.all.flatMap(({ source }) => source.shards))
    return (await drainCaptured(this.maintenance, [...shards])).notes
  }
}

/**
 * Makes on one shard what lookups need there: their own tables, or for the tables of entities the triggers that note changes.
 * What is up to date is left alone, since triggers are made under a lock that all writes wait for.
 */
async function installLookups(lookups: Lookups, shard: Shard, pool: NodePool): Promise<void> {
  for (const binding of ownOf(lookups, shard)) {
    if (shard.layout === 'schema') await ensureSchema(shard, pool)
    await installTable(binding, shard, pool)
  }
  const noted = lookups.notedOf(shard.group)
  if (noted.length === 0) return
  await pool.query(createCapture(shard))
  for (const name of new Set(noted.map(({ source }) => source.table))) {
    const tables = noted.filter(({ source }) => source.table === name)
    const { rows } = await pool.query(askTriggers(name, shard))
    const { create, stamp } = captureTriggers(tables, name, shard)
    if (rows[0]?.stamp !== stamp) await pool.query(create)
  }
}

/** Drops it again. */
async function uninstallLookups(lookups: Lookups, shard: Shard, pool: NodePool): Promise<void> {
  for (const { table } of ownOf(lookups, shard)) await pool.query(dropLookup(table, shard))
  const noted = lookups.notedOf(shard.group)
  if (noted.length === 0) return
  for (const name of new Set(noted.map(({ source }) => source.table))) await pool.query(dropTriggers(name, shard))
  await pool.query(dropCapture(shard))
}

const ownOf = (lookups: Lookups, shard: Shard): readonly LookupBinding[] =>
  lookups.all.filter(({ table }) => table.name === shard.group)

/** A table that was made for another declaration is made anew, and empty. */
async function installTable({ table, shards }: LookupBinding, shard: Shard, pool: NodePool): Promise<void> {
  const name = tableOn(table.name, shard)
  const definition = definitionOf(table, shards.length)
  const { rows } = await pool.query('SELECT obj_description(to_regclass($1), $2) AS definition', [name, 'pg_class'])
  if (rows[0]?.definition === definition) return
  await pool.query(
    `${dropLookup(table, shard)}; ${createLookup(table, shard)}; COMMENT ON TABLE ${name} IS ${literal(definition)}`,
  )
}
