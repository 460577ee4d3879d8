import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { chunksOf } from '../../collections/chunks-of'
import { pushTo } from '../../collections/push-to'
import type { Row } from '../../merging/row'
import { type KeyPair, type Links, relationKey } from '../binding/relation-keys'
import { addKeyCondition, keysOfStatement } from './key-condition'

/** The values of a key, as PostgreSQL writes them. */
type Texts = readonly string[]

/** By which TypeORM knows a table: a junction has no class. */
export const targetOf = ({ target, name }: EntityMetadata) => target || name

/**
 * What the rows of a junction lead to: the keys of the far side, by the text of the near side's key (`relationKey`).
 *
 * @param keys of the near side
 */
export async function readLinks(
  manager: EntityManager,
  { junction, near, far }: Links,
  keys: readonly Texts[],
): Promise<ReadonlyMap<string, readonly Texts[]>> {
  const links = new Map<string, Texts[]>()
  for (const some of chunksOf(keys, keysOfStatement)) {
    const builder = manager.createQueryBuilder<ObjectLiteral>(targetOf(junction), 'link').select([])
    const textOf = (column: KeyPair['own']) => `${builder.escape('link')}.${builder.escape(column.databaseName)}::text`
    for (const [index, pair] of near.entries()) builder.addSelect(textOf(pair.far), `near${index}`)
    for (const [index, pair] of far.entries()) builder.addSelect(textOf(pair.own), `far${index}`)
    addKeyCondition(builder, { pairs: near, keys: some })
    for (const row of await builder.getRawMany<Row>())
      pushTo(links, relationKey(textsOf(row, 'near', near), near), textsOf(row, 'far', far))
  }
  return links
}

const textsOf = (row: Row, side: string, pairs: readonly KeyPair[]): Texts =>
  pairs.map((_, index) => String(row[`${side}${index}`]))
