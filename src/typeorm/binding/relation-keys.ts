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

/**
 * The columns by which the rows of a relation belong together.
 *
 * @returns undefined where there are none (many-to-many), or where it is not known which of their values are equal
 */
export function keyPairs({ isOwning, isManyToMany, joinColumns, inverseRelation }: RelationMetadata) {
  if (isManyToMany) return undefined
  const columns = isOwning ? joinColumns : (inverseRelation?.joinColumns ?? [])
  const pairs: KeyPair[] = []
  for (const joined of columns) {
    const referenced = joined.referencedColumn
    const type = keyTypeOf(joined)
    if (!referenced || !type || keyTypeOf(referenced) !== type) return undefined
    pairs.push(isOwning ? { own: joined, far: referenced, type } : { own: referenced, far: joined, type })
  }
  return pairs.length > 0 ? pairs : undefined
}

/** One text for all keys of a relation that PostgreSQL holds equal. @param texts its values, as PostgreSQL writes them */
export const relationKey = (texts: readonly string[], pairs: readonly KeyPair[]): string =>
  canonicalTuple(
    texts.map((text, index) => {
      const type = pairs[index]?.type
      return (type && canonicalKey(text, type)) ?? text
    }),
  )
