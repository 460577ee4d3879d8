import type { EntityMetadata } from 'typeorm'
import type { ChildLink } from '../../planning/carried-rows'
import type { KeyType } from '../../values/key-type'
import { colocationGroup, placingKeys } from './colocation-group'
import type { EntityBinding } from './entity-binding'
import { leadsApart } from './relation-apart'

/** What hangs on what inside a colocation group. */
export interface GroupTables {
  readonly links: readonly ChildLink[]
  /** By table: the columns that hold a part of the shard key, their own or a parent's, and which part. */
  readonly keyColumns: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** By part of the shard key. */
  readonly keyTypes: readonly KeyType[]
}

/**
 * The links of a group: each owning relation and foreign key, narrowed to rows of one shard key where both sides have one.
 * Where a row is the only one of its shard key, since that is its primary key, all rows of that key are its children.
 */
export function groupTables(
  root: EntityBinding,
  bindingOf: (target: unknown) => EntityBinding | undefined,
): GroupTables {
  const { group } = root.entity
  const metadatas = root.metadata.dataSource.entityMetadatas.filter(
    (metadata) => colocationGroup(metadata, (target) => bindingOf(target)?.entity.group) === group,
  )
  const keys = new Map<string, Map<string, number>>()
  for (const metadata of metadatas) {
    const own = bindingOf(metadata.target)?.keyColumns ?? []
    keys.set(metadata.tableName, new Map(own.map((column, index) => [column.databaseName, index])))
  }
  const bare = metadatas.flatMap(linksOf).filter(({ parent }) => keys.has(parent))
  spreadKeys(bare, keys)
  const links = bare.map((link) => ({ ...link, pairs: [...link.pairs, ...keyPairs(link, metadatas, bindingOf)] }))
  const isOnlyOne =
    root.metadata.primaryColumns.length === root.keyColumns.length && root.entity.primaryKeyHoldsShardKey
  if (isOnlyOne) {
    const parent = root.metadata.tableName
    for (const metadata of metadatas) {
      const binding = bindingOf(metadata.target)
      if (!binding || metadata.tableName === parent) continue
      const pairs = binding.keyColumns.map(
        (column, index) => [column.databaseName, root.keyColumns[index]?.databaseName ?? ''] as const,
      )
      links.push({ table: metadata.tableName, parent, pairs })
    }
  }
  // The children of one table (single table inheritance) say the same.
  const once = new Map(links.map((link) => [JSON.stringify(link), link]))
  const keyTypes = root.entity.keyColumns.map(({ type }) => type)
  return Object.freeze({ links: Object.freeze([...once.values()]), keyColumns: keys, keyTypes })
}

function linksOf(metadata: EntityMetadata): readonly ChildLink[] {
  const relations = metadata.relations
    .filter((relation) => relation.isOwning && !relation.isManyToMany && !leadsApart(relation))
    .map(
      (relation): ChildLink => ({
        table: metadata.tableName,
        parent: relation.inverseEntityMetadata.tableName,
        pairs: relation.joinColumns.map(
          (column) => [column.databaseName, column.referencedColumn?.databaseName ?? ''] as const,
        ),
      }),
    )
  const keys = placingKeys(metadata).map(
    (key): ChildLink => ({
      table: metadata.tableName,
      parent: key.referencedEntityMetadata.tableName,
      pairs: key.columnNames.map((name, index) => [name, key.referencedColumnNames[index] ?? ''] as const),
    }),
  )
  return [...relations, ...keys]
}

/** A column that refers to a part of the shard key holds it too. Each round finds one column more, or is the last. */
function spreadKeys(links: readonly ChildLink[], keys: Map<string, Map<string, number>>): void {
  for (let found = true; found; ) {
    found = false
    for (const { table, parent, pairs } of links) {
      for (const [own, other] of pairs) {
        const part = keys.get(parent)?.get(other)
        if (part === undefined || keys.get(table)?.has(own)) continue
        keys.get(table)?.set(own, part)
        found = true
      }
    }
  }
}

function keyPairs(
  { table, parent, pairs }: ChildLink,
  metadatas: readonly EntityMetadata[],
  bindingOf: (target: unknown) => EntityBinding | undefined,
): readonly (readonly [string, string])[] {
  const binding = (name: string) => {
    const metadata = metadatas.find((one) => one.tableName === name)
    return metadata && bindingOf(metadata.target)
  }
  const [own, other] = [binding(table), binding(parent)]
  if (!own || !other) return []
  return own.keyColumns.flatMap((column, index) => {
    const name = other.keyColumns[index]?.databaseName ?? ''
    const isKnown = pairs.some(([a, b]) => a === column.databaseName && b === name)
    return isKnown ? [] : [[column.databaseName, name] as const]
  })
}
