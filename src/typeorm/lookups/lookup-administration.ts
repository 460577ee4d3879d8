import type { NodePool } from '../../endpoints/node-pool'
import type { Shard } from '../../topology/shard'
import type { ShardRuntime } from '../runners/shard-runtime'
import { buildLookups } from './build-lookups'
import { drainCaptured } from './drain-lookups'
import { installLookups, uninstallLookups } from './install-lookups'
import type { BuildLookupsOptions, LookupMaintenance, LookupReport } from './lookup-maintenance'
import { LookupStates } from './lookup-states'
import { askReady, loadReady, recordLookups } from './record-lookups'
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

  /** Asks which lookups are complete. */
  async load(): Promise<void> {
    if (this.isNeeded) await loadReady(this.lookups, this.maintenance.states)
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
    if (!this.isNeeded) return
    const { runtime, eachNode } = this.settings
    await eachNode(async ({ name }) => {
      for (const shard of runtime.map.shards.values()) if (shard.node === name) await this.install(shard)
    })
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
