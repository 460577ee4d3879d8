import type { EntityMetadata } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { pushTo } from '../../collections/push-to'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { captureNames } from '../../lookups/capture-sql'
import type { LookupTable } from '../../lookups/lookup-table'
import { maxNameBytes } from '../../values/max-name-bytes'
import { isEnum } from './describe-entities'
import type { EntityBinding } from './entity-binding'
import { absentForeignKey, leadsApart } from './relation-apart'
import { type KeyPair, referringColumns } from './relation-keys'

/** A reference to rows of another database that deletes keep, in place of a foreign key. */
export interface ApartKey {
  /** The table of the rows that refer, and that of the rows that are referred to. */
  readonly referring: EntityMetadata
  readonly inverse: EntityMetadata
  readonly pairs: readonly KeyPair[]
  /** The name that the foreign key would have. */
  readonly constraint: string
  readonly onDelete: 'CASCADE' | 'SET NULL' | 'RESTRICT' | 'NO ACTION'
  /** The foreign key would have ON UPDATE CASCADE, as that of a junction has. */
  readonly isCarried: boolean
  /** The columns of the rows that are referred to, as triggers note them. */
  readonly referred: LookupTable
}

/** The references between databases that a data source keeps. */
export class ApartKeys {
  /** The groups of the rows that are referred to. */
  readonly referredGroups: ReadonlySet<string>
  private readonly byName: ReadonlyMap<string, ApartKey>
  private readonly byGroup = new Map<string, LookupTable[]>()

  constructor(all: readonly ApartKey[]) {
    this.byName = new Map(all.map((key) => [key.referred.name, key]))
    for (const { referred } of this.byName.values()) pushTo(this.byGroup, referred.source.group, referred)
    this.referredGroups = new Set(this.byGroup.keys())
  }

  get size(): number {
    return this.byName.size
  }

  /** By the name under which what goes is noted. */
  named(name: string): ApartKey | undefined {
    return this.byName.get(name)
  }

  referredIn(group: string): readonly LookupTable[] {
    return this.byGroup.get(group) ?? []
  }
}

export const noApartKeys: ApartKeys = new ApartKeys([])

/**
 * The references of entities to sharded ones of other databases. Those to unsharded ones are kept by nobody: no trigger notes what goes there.
 *
 * @param refusals takes OPTIONS_INVALID where the names of triggers are too long
 */
export function bindApartKeys(
  metadatas: readonly EntityMetadata[],
  bindings: ReadonlyMap<unknown, EntityBinding>,
  refusals: Refusals,
): ApartKeys {
  const keys = metadatas.flatMap(({ relations }) =>
    relations.flatMap((relation) => {
      const source = bindings.get(relation.inverseEntityMetadata.target)
      return (source && leadsApart(relation) && refusals.attempt(() => bindApartKey(relation, source))) || []
    }),
  )
  return keys.length > 0 ? new ApartKeys(keys) : noApartKeys
}

function bindApartKey(relation: RelationMetadata, source: EntityBinding): ApartKey | undefined {
  const foreignKey = relation.isOwning ? absentForeignKey(relation) : undefined
  const columns = referringColumns(relation)
  if (!foreignKey || !columns) return undefined
  const { table: referring, pairs } = columns
  const { tableName } = referring
  const constraint = foreignKey.name
  const noted = pairs.map(({ far, type }) =>
    Object.freeze({ name: far.databaseName, type, ...(isEnum(far) && { isEnum: true as const }) }),
  )
  const referred: LookupTable = Object.freeze({
    name: `${tableName}.${constraint}`,
    columns: Object.freeze(noted),
    valueCount: noted.length,
    key: Object.freeze([]),
    primaryKey: Object.freeze([]),
    isUnique: false,
    constraint,
    notesLosses: true,
    source: Object.freeze({ table: source.metadata.tableName, group: source.entity.group }),
  })
  const long = source.shards
    .flatMap((shard) => captureNames(referred, shard))
    .find((name) => Buffer.byteLength(name) > maxNameBytes)
  if (long !== undefined)
    throw new ShardedError(
      'OPTIONS_INVALID',
      `onDelete needs the name "${long}" for what is deleted of ${source.entity.name}, which is longer than ${maxNameBytes} bytes.`,
      { details: { entity: source.entity.name, name: long } },
    )
  const { inverseEntityMetadata: inverse } = relation
  const [onDelete, isCarried] = [actionOf(foreignKey.onDelete), foreignKey.onUpdate === 'CASCADE']
  return Object.freeze({ referring, inverse, pairs, constraint, onDelete, isCarried, referred })
}

/** What the model lets through: see `checkRelations`. */
function actionOf(action: string | undefined): ApartKey['onDelete'] {
  return action === 'CASCADE' || action === 'SET NULL' || action === 'RESTRICT' ? action : 'NO ACTION'
}
