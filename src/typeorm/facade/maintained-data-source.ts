import { DataSource, type EntityTarget, type ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import type { ShardingDescription } from '../../model/sharding-description'
import { describeSharding } from '../binding/describe-sharding'
import type { EntityBinding } from '../binding/entity-binding'
import type { BuildLookupsOptions, LookupReport } from '../lookups/lookup-maintenance'
import {
  type PlacementReport,
  tableBindings,
  type VerifyPlacementOptions,
  verifyPlacements,
} from '../reads/verify-placement'
import { type RelationReport, verifyRelations } from '../reads/verify-relations'
import type { ReferenceReport } from '../references/verify-references'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ComposedDataSource } from './compose-data-source'

/** A data source with what is looked after beside its work: its lookups, its reference tables, and where its rows lie. */
export abstract class MaintainedDataSource extends DataSource {
  abstract get runtime(): ShardRuntime

  /** @throws CannotExecuteNotConnectedError before `initialize()` */
  protected abstract get parts(): ComposedDataSource

  /**
   * Makes the tables and triggers of lookups where they are missing, enters the rows that were there before, and then lets
   * reads use them. It may be run beside writes, and again after it was ended: it goes on where it was.
   *
   * @throws ShardedError LOOKUP_DUPLICATES where rows have one value of a `@GlobalUnique`; the reason of the signal
   * @example
   * await dataSource.buildLookups({ onProgress: ({ lookup, shardsDone, shards }) => console.log(lookup, shardsDone, shards) })
   */
  async buildLookups(options: BuildLookupsOptions = {}): Promise<void> {
    const { lookups, runtime, schemas } = this.parts
    if (runtime.lookups.all.length > 0) await schemas.refuseForeignObjects()
    await lookups.build(options)
  }

  /**
   * Compares every lookup with the rows that it finds, and changes nothing: one report a lookup. Beside writes it looks again
   * at what differs, so that a transaction that is just committing is no difference.
   */
  async verifyLookups(): Promise<readonly LookupReport[]> {
    return this.parts.lookups.verify()
  }

  /**
   * Compares every lookup with the rows that it finds, enters what is missing and removes what dangles. The reports say what
   * was wrong; `duplicates` are rows that could not be entered.
   */
  async repairLookups(): Promise<readonly LookupReport[]> {
    return this.parts.lookups.repair()
  }

  /**
   * Brings lookups in line with what other programs have written past this data source, which triggers have noted. Returns the
   * number of notes that were taken. To be called from time to time where there are such programs.
   */
  async drainLookups(): Promise<number> {
    return this.parts.lookups.drain()
  }

  /**
   * Makes on every node what its reference tables need where it is missing, and copies the home node's rows to where they differ.
   * `synchronize()` does it too; where tables are made by other means this is to be called after them, also for an unsharded entity
   * that became a reference table, or the reverse.
   *
   * @throws ShardedError REFERENCE_NOT_INSTALLED, REFERENCE_OUTDATED
   */
  async buildReferenceTables(): Promise<void> {
    await this.parts.references.build()
    this.parts.statements.schemaChanged()
  }

  /**
   * Compares every copy of every reference table with the home node's by checksums: one report a table and node. With `repair`,
   * copies that differ are then made equal to the home node's; the reports say what was found.
   *
   * @example
   * const unequal = (await dataSource.verifyReferenceTables({ repair: true })).filter(({ equal }) => !equal)
   */
  async verifyReferenceTables({
    repair = false,
  }: {
    readonly repair?: boolean
  } = {}): Promise<readonly ReferenceReport[]> {
    return this.parts.references.verify(repair)
  }

  /**
   * Looks at every row of every sharded entity, or of one, and reports those that do not lie on the shard of their key, or that
   * are not found by their id: written past this data source, restored to the wrong place, or written by an earlier version.
   * Nothing is changed. Shards are read by cursors, nodes at once: a batch of 1,000 rows a node is held in memory.
   *
   * @throws ShardedError NOT_SHARDED; the reason of the signal
   * @example
   * const [report] = await dataSource.verifyPlacement(User, { onProgress: ({ shard, rows }) => console.log(shard, rows) })
   */
  async verifyPlacement(
    target?: EntityTarget<ObjectLiteral>,
    options: VerifyPlacementOptions = {},
  ): Promise<readonly PlacementReport[]> {
    const { runtime, entityMetadatas } = this
    const bindings = target === undefined ? tableBindings(runtime, entityMetadatas) : [this.bindingOf(target)]
    return verifyPlacements(runtime, bindings, options)
  }

  /**
   * Looks for rows that refer to none, over the relations for which no foreign key is made: those to rows of other shards, or between
   * shards and the home node. One report a relation; nothing is changed. 1,000 keys at once are compared.
   *
   * @example
   * const dangling = (await dataSource.verifyRelations()).filter(({ missing }) => missing > 0)
   */
  async verifyRelations(): Promise<readonly RelationReport[]> {
    return verifyRelations(this.manager, this.entityMetadatas)
  }

  /**
   * What the start has decided about every relation, join table, foreign key, cascade, tree, inheritance and unique constraint: where
   * it leads (`local`, `reference`, `home` or `across shards`) and what it costs. It asks no database. `String(…)` of it is a table.
   *
   * @example
   * expect(String(dataSource.describeSharding())).toMatchSnapshot()
   */
  describeSharding(): ShardingDescription {
    return describeSharding(this.entityMetadatas, this.parts.model)
  }

  protected bindingOf(target: EntityTarget<ObjectLiteral>): EntityBinding {
    const { target: known, name } = this.getMetadata(target)
    const binding = this.runtime.bindingOf(known)
    if (binding) return binding
    throw new ShardedError('NOT_SHARDED', `${name} is not sharded.`, { details: { entity: name } })
  }
}
