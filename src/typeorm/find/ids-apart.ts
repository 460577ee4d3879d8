import type { EntityMetadata } from 'typeorm'
import { idsApart, reachesIdsApart, readsIdsApart } from '../binding/relation-apart'
import { isPlain } from './find-predicate'
import { type LoadTree, loadTree } from './load-tree'

interface LoadedIds {
  readonly where?: unknown
  readonly order?: unknown
  readonly relations?: unknown
  readonly loadEagerRelations?: boolean | undefined
  readonly loadRelationIds?: unknown
}

/** Whether a find gives ids of relations, by `loadRelationIds` or as properties of `@RelationId`, that TypeORM reads from tables elsewhere. */
export function loadsIdsApart(metadata: EntityMetadata, options: LoadedIds): boolean {
  const { relations, loadEagerRelations, loadRelationIds, where, order } = options
  if (asksIds(metadata, loadRelationIds)) return true
  if (!reachesIdsApart(metadata)) return false
  const tree = loadTree(metadata, { relations, loadEagerRelations })
  const branches = Array.isArray(where) ? where : [where]
  return (
    hasIds(metadata) ||
    (tree !== undefined && joinsIds(tree)) ||
    [order, ...branches].some((part) => meetsIds(metadata, part, ''))
  )
}

const hasIds = (metadata: EntityMetadata): boolean => idsApart(metadata).length > 0

const joinsIds = (tree: LoadTree): boolean =>
  [...tree.values()].some(({ relation, children }) => hasIds(relation.inverseEntityMetadata) || joinsIds(children))

/** TypeORM reads them of every entity that it joins, also for a condition. */
function meetsIds(metadata: EntityMetadata, part: unknown, prefix: string): boolean {
  if (!isPlain(part) || metadata.relations.length === 0) return false
  return Object.entries(part).some(([name, value]) => {
    const path = prefix + name
    const relation = metadata.findRelationWithPropertyPath(path)
    if (!relation)
      return metadata.findEmbeddedWithPropertyPath(path) !== undefined && meetsIds(metadata, value, `${path}.`)
    const { inverseEntityMetadata: inverse } = relation
    const branches = Array.isArray(value) ? value : [value]
    return branches.some((branch) => isPlain(branch) && (hasIds(inverse) || meetsIds(inverse, branch, '')))
  })
}

function asksIds({ relations }: EntityMetadata, loadRelationIds: unknown): boolean {
  if (!loadRelationIds) return false
  const { relations: names }: { relations?: unknown } = isPlain(loadRelationIds) ? loadRelationIds : {}
  return relations.some(
    (relation) => readsIdsApart(relation) && (!Array.isArray(names) || names.includes(relation.propertyPath)),
  )
}
