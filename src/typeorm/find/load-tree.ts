import type { EntityMetadata } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { isPlain } from './find-predicate'

/** A relation that a find loads, and what it loads of the entity that this leads to. */
export interface LoadNode {
  readonly relation: RelationMetadata
  /** The find names it in `relations`; otherwise it is eager. */
  readonly isNamed: boolean
  /** TypeORM selects all of its columns, whatever `select` says: that of an eager relation comes after what `select` has selected. */
  readonly isWhole: boolean
  /** By property path. */
  readonly children: Map<string, LoadNode>
}

export type LoadTree = ReadonlyMap<string, LoadNode>

interface LoadedParts {
  readonly relations?: unknown
  readonly loadEagerRelations?: boolean | undefined
  readonly loadRelationIds?: unknown
}

/**
 * All that a find loads by joins, as TypeORM chooses it: what `relations` names, the eager relations of each of these, one level
 * deep, and those of the entity itself, level after level.
 *
 * @returns undefined where `relations` names what is none: TypeORM refuses it
 */
export function loadTree(
  metadata: EntityMetadata,
  { relations, loadEagerRelations, loadRelationIds }: LoadedParts,
): LoadTree | undefined {
  const named = namedTree(metadata, relations)
  if (!named || loadEagerRelations === false) return named
  for (const node of named.values()) addEagerOfNamed(node)
  addEager(metadata, named, new Set())
  for (const [path, { isNamed }] of named) if (!isNamed && isGivenAsId(path, loadRelationIds)) named.delete(path)
  return named
}

/** An eager relation that is asked for as an id is the id. */
function isGivenAsId(path: string, loadRelationIds: unknown): boolean {
  if (!isPlain(loadRelationIds)) return loadRelationIds === true
  const { relations }: { relations?: unknown } = loadRelationIds
  return Array.isArray(relations) ? relations.includes(path) : true
}

/** The relations that options name, without the eager ones. @returns undefined where they name what is none */
export function namedTree(metadata: EntityMetadata, relations: unknown): Map<string, LoadNode> | undefined {
  const tree = new Map<string, LoadNode>()
  return fill(tree, { metadata, relations, prefix: '' }) ? tree : undefined
}

interface Named {
  readonly metadata: EntityMetadata
  readonly relations: unknown
  readonly prefix: string
}

function fill(tree: Map<string, LoadNode>, { metadata, relations, prefix }: Named): boolean {
  if (!isPlain(relations)) return relations === undefined || relations === null || typeof relations === 'boolean'
  return Object.entries(relations).every(([name, value]) => {
    const path = prefix + name
    if (metadata.findEmbeddedWithPropertyPath(path))
      return fill(tree, { metadata, relations: value, prefix: `${path}.` })
    const relation = metadata.findRelationWithPropertyPath(path)
    if (!relation) return false
    if (value !== true && !isPlain(value)) return true
    const children = namedTree(relation.inverseEntityMetadata, value)
    if (!children) return false
    tree.set(path, { relation, isNamed: true, isWhole: false, children })
    return true
  })
}

/** Of an entity that a named relation leads to, TypeORM joins the eager relations, and not those of these. */
function addEagerOfNamed({ relation, children }: LoadNode): void {
  for (const node of children.values()) addEagerOfNamed(node)
  for (const eager of relation.inverseEntityMetadata.eagerRelations)
    if (!children.has(eager.propertyPath))
      children.set(eager.propertyPath, { relation: eager, isNamed: false, isWhole: true, children: new Map() })
}

/**
 * The eager relations of the entity itself, and of what they lead to.
 *
 * @param above those that have led here: TypeORM follows no circle of them by queries, and fails with one of joins
 */
function addEager(metadata: EntityMetadata, tree: Map<string, LoadNode>, above: ReadonlySet<RelationMetadata>): void {
  for (const relation of metadata.eagerRelations) {
    if (above.has(relation)) continue
    const known = tree.get(relation.propertyPath)
    const node: LoadNode = known
      ? { ...known, isWhole: true }
      : { relation, isNamed: false, isWhole: true, children: new Map<string, LoadNode>() }
    tree.set(relation.propertyPath, node)
    addEager(relation.inverseEntityMetadata, node.children, new Set([...above, relation]))
  }
}
