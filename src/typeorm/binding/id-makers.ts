import type { EntityMetadata } from 'typeorm'
import type { HomeNode } from '../../catalog/own-table'
import { greatestTaken, SequenceIds, type SequenceSettings } from '../../catalog/sequence-ids'
import { WorkerIds } from '../../catalog/worker-ids'
import { ShardedError } from '../../errors/sharded-error'
import { idLayouts } from '../../ids/id-layout'
import type { IdMaker } from '../../ids/id-maker'
import { uuidIds } from '../../ids/uuid-ids'
import type { IdColumn, ShardedEntity } from '../../model/sharded-entity'
import type { Shard } from '../../topology/shard'
import { typeName } from './describe-entities'
import type { EntityId } from './entity-binding'

const greatest: Readonly<Record<string, bigint>> = {
  smallint: 2n ** 15n - 1n,
  integer: 2n ** 31n - 1n,
  int: 2n ** 31n - 1n,
}

interface IdMakerSettings {
  readonly home: HomeNode
  readonly nodeOf: (name: string) => HomeNode
  /** The shards of a group, where they lie by now. */
  readonly shardsOf: (group: string) => readonly Shard[]
  readonly parseInt8: boolean
}

/** What makes the ids of a data source's entities: one worker number for each layout, one sequence for each table. */
export class IdMakers {
  private readonly uuids = uuidIds()
  private readonly workers = new Map<'64-bit' | '53-bit', WorkerIds>()
  private readonly sequences = new Map<string, SequenceIds>()

  constructor(private readonly settings: IdMakerSettings) {}

  private get home(): HomeNode {
    return this.settings.home
  }

  /** The ids of an entity; undefined where they are not made here. @throws ShardedError ID_COLUMN_INVALID */
  idOf({ id, name, keyColumns, group }: ShardedEntity, metadata: EntityMetadata): EntityId | undefined {
    if (!id) return undefined
    const { parseInt8 } = this.settings
    const column = metadata.findColumnWithPropertyPath(id.propertyPath)
    if (!column) throw new RangeError(`${name} has no column ${id.propertyPath}`)
    const isBigint = typeName(column) === 'bigint'
    if (id.kind === '64-bit' && parseInt8) {
      throw new ShardedError(
        'ID_COLUMN_INVALID',
        `${name}.${id.propertyPath} cannot be a @ShardedId('64-bit'): parseInt8 makes numbers of bigints, which hold 53 bits.`,
        { details: { entity: name, column: id.propertyPath } },
      )
    }
    const isNumber = id.kind !== 'uuid' && (!isBigint || parseInt8)
    const { driver } = metadata.dataSource
    return Object.freeze({
      ...id,
      column,
      isKey: keyColumns.some(({ propertyPath }) => propertyPath === id.propertyPath),
      maker: this.makerOf(id, {
        name: metadata.tableName,
        most: greatest[typeName(column)] ?? 2n ** 63n - 1n,
        greatestTaken: (first, last) =>
          greatestTaken(
            { table: metadata.tableName, column: column.databaseName, shards: this.settings.shardsOf(group) },
            this.settings.nodeOf,
            { first, last },
          ),
      }),
      hydrate: (text: string): unknown => driver.prepareHydratedValue(isNumber ? Number(text) : text, column),
    })
  }

  /** Makes sure, before the first id is needed, that the tables are there. @throws ShardedError SHARD_UNAVAILABLE */
  async open(): Promise<void> {
    for (const maker of [...this.workers.values(), ...this.sequences.values()]) await maker.open()
  }

  /** Gives worker numbers back. A home node that is away does not matter: they expire. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.workers.values()].map((maker) => maker.close()))
  }

  private makerOf({ kind }: IdColumn, sequence: SequenceSettings): IdMaker {
    if (kind === 'uuid') return this.uuids
    if (kind === 'sequence') {
      const known = this.sequences.get(sequence.name) ?? new SequenceIds(this.home, sequence)
      this.sequences.set(sequence.name, known)
      return known
    }
    const known = this.workers.get(kind) ?? new WorkerIds(this.home, idLayouts[kind])
    this.workers.set(kind, known)
    return known
  }
}
