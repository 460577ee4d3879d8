import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { canonicalKey, canonicalTuple } from '../../values/canonical-key'
import type { KeyType } from '../../values/key-type'
import { keyTypeOf } from './describe-entities'

/** A column of an entity and the one of another entity that holds the same value, where a relation leads from one to the other. */
export interface KeyPair {
  readonly own: ColumnMetadata
  readonly far: ColumnMetadata
  readonly type: KeyType
}

/** How rows of a junction table link those of a many-to-many relation. */
export interface Links {
  readonly junction: EntityMetadata
  /** From the entity that has the relation to the junction. */
  readonly near: readonly KeyPair[]
  /** From the junction to the entity that the relation leads to. */
  readonly far: readonly KeyPair[]
}

/**
 * The columns by which the rows of a relation belong together.
 *
 * @returns undefined where there are none (many-to-many), or where it is not known which of their values are equal
 */
export function keyPairs({ isOwning, isManyToMany, joinColumns, inverseRelation }: RelationMetadata) {
  if (isManyToMany) return undefined
  const pairs = pairsOf(isOwning ? joinColumns : (inverseRelation?.joinColumns ?? []))
  return isOwning ? pairs : pairs?.map(turned)
}

/** @returns undefined for other relations than many-to-many, and where it is not known which values are equal */
export function linksOf({ isOwning, junctionEntityMetadata: junction }: RelationMetadata): Links | undefined {
  const owner = pairsOf(junction?.ownerColumns ?? [])
  const inverse = pairsOf(junction?.inverseColumns ?? [])
  if (!junction || !owner || !inverse) return undefined
  const [near, far] = isOwning ? [owner, inverse] : [inverse, owner]
  return { junction, near: near.map(turned), far }
}

/** From columns to those that they refer to. */
function pairsOf(columns: readonly ColumnMetadata[]): readonly KeyPair[] | undefined {
  const pairs: KeyPair[] = []
  for (const own of columns) {
    const { referencedColumn: far } = own
    const type = keyTypeOf(own)
    if (!far || !type || keyTypeOf(far) !== type) return undefined
    pairs.push({ own, far, type })
  }
  return pairs.length > 0 ? pairs : undefined
}

const turned = ({ own, far, type }: KeyPair): KeyPair => ({ own: far, far: own, type })

/** The columns that refer to the rows of a relation, and the table that has them. */
export interface ReferringColumns {
  readonly table: EntityMetadata
  readonly pairs: readonly KeyPair[]
}

/** @returns undefined for the side that has no such columns, and where it is not known which of their values are equal */
export function referringColumns(relation: RelationMetadata): ReferringColumns | undefined {
  if (!relation.isOwning) return undefined
  const links = linksOf(relation)
  if (links) return { table: links.junction, pairs: links.far }
  const pairs = keyPairs(relation)
  return pairs && { table: relation.entityMetadata, pairs }
}

/** One text for all keys of a relation that PostgreSQL holds equal. @param texts its values, as PostgreSQL writes them */
export const relationKey = (texts: readonly string[], pairs: readonly KeyPair[]): string =>
  canonicalTuple(
    texts.map((text, index) => {
      const type = pairs[index]?.type
      return (type && canonicalKey(text, type)) ?? text
    }),
  )
