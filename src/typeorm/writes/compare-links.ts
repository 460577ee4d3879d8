import type { EntityManager, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { pushTo } from '../../collections/push-to'
import { type Links, linksOf, relationKey } from '../binding/relation-keys'
import { refuseLeaving } from '../find/check-relations'
import { readLinks } from '../reads/read-links'
import type { ApartList } from './apart-lists'
import { keyOf } from './compare-lists'

/** An object that comes to a list: its row is linked with that of the list's owner. */
export interface AddedLink {
  readonly links: Links
  readonly owner: ObjectLiteral
  readonly object: ObjectLiteral
}

/** A row of a junction that goes. */
export interface RemovedLink {
  readonly links: Links
  /** Of its columns. */
  readonly where: ObjectLiteral
}

/** How lists of many-to-many relations differ from the rows of their junctions. */
export interface LinkChanges {
  readonly added: readonly AddedLink[]
  readonly removed: readonly RemovedLink[]
}

/**
 * Compares lists with the rows of junctions, as TypeORM does: one statement for each relation.
 *
 * @throws ShardedError CROSS_SHARD_RELATION where it is not known which keys of a relation are equal
 */
export async function compareLinks(lists: readonly ApartList[], manager: EntityManager): Promise<LinkChanges> {
  const byRelation = new Map<RelationMetadata, ApartList[]>()
  for (const list of lists)
    if (list.relation.persistenceEnabled && list.relation.isManyToMany) pushTo(byRelation, list.relation, list)
  const added: AddedLink[] = []
  const removed: RemovedLink[] = []
  for (const [relation, own] of byRelation) {
    const links = linksOf(relation)
    if (!links) refuseLeaving(relation.entityMetadata, relation)
    const keyed = own.map((list) => ({ list, key: keyOf(list.entity, links.near) }))
    const stored = await readLinks(
      manager,
      links,
      keyed.flatMap(({ key }) => (key ? [key] : [])),
    )
    for (const { list, key } of keyed) {
      const before = (key && stored.get(relationKey(key, links.near))) ?? []
      const changes = compare(list, links, before)
      added.push(...changes.added)
      if (key) removed.push(...changes.removed.map((far) => ({ links, where: rowOf(links, key, far) })))
    }
  }
  return { added, removed }
}

type Texts = readonly string[]

function compare({ entity: owner, objects }: ApartList, links: Links, before: readonly Texts[]) {
  const sides = links.far.map(({ far, type }) => ({ own: far, type }))
  const textOf = (texts: Texts) => relationKey(texts, links.far)
  const known = new Set(before.map(textOf))
  const listed = new Set<string>()
  const added: AddedLink[] = []
  for (const object of objects) {
    const key = keyOf(object, sides)
    const text = key && textOf(key)
    if (text !== undefined) listed.add(text)
    if (text === undefined || !known.has(text)) added.push({ links, owner, object })
  }
  return { added, removed: before.filter((texts) => !listed.has(textOf(texts))) }
}

/** The junction's columns with the values of both keys. */
function rowOf({ near, far }: Links, nearKey: readonly unknown[], farKey: readonly unknown[]): ObjectLiteral {
  const row: ObjectLiteral = {}
  for (const [index, pair] of near.entries()) pair.far.setEntityValue(row, nearKey[index])
  for (const [index, pair] of far.entries()) pair.own.setEntityValue(row, farKey[index])
  return row
}

/** The row that links two objects; undefined where one has no key, since nothing has stored it: TypeORM links it with nothing. */
export function linkRow({ links, owner, object }: AddedLink): ObjectLiteral | undefined {
  const nearKey = links.near.map(({ own }): unknown => own.getEntityValue(owner))
  const farKey = links.far.map(({ far }): unknown => far.getEntityValue(object))
  const isWhole = [...nearKey, ...farKey].every((value) => value !== undefined && value !== null)
  return isWhole ? rowOf(links, nearKey, farKey) : undefined
}
