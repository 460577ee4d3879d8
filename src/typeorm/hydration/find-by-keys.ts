import type { EntityManager, EntityMetadata, FindManyOptions, ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import { DriverUtils } from 'typeorm/driver/DriverUtils'
import type { Alias } from 'typeorm/query-builder/Alias'
import { RawSqlResultsToEntityTransformer } from 'typeorm/query-builder/transformer/RawSqlResultsToEntityTransformer'
import { chunksOf } from '../../collections/chunks-of'
import type { Row } from '../../merging/row'
import { primaryKeyText } from '../binding/primary-key-text'
import { cloneWhere } from '../find/clone-where'

/** Primary keys in one statement of a reload, well below the protocol's limit on parameters. */
const reloadChunk = 5_000

interface FindByKeys {
  readonly options: FindManyOptions<ObjectLiteral>
  /** All entities without keys. */
  readonly keys: readonly ObjectLiteral[] | undefined
  /** Listeners and subscribers are told by who asks, when it has all that it asked for. */
  readonly isToldLater?: boolean
}

/** The rows that were found, by the text of their primary keys; undefined for a row of which TypeORM makes no entity. */
type LoadedRows = ReadonlyMap<string, ObjectLiteral | undefined>

/** What TypeORM's own find with these options gives for the keys, whether or not the options select the keys. */
export async function findByKeys(
  manager: EntityManager,
  metadata: EntityMetadata,
  { options, keys, isToldLater = false }: FindByKeys,
): Promise<LoadedRows> {
  const find = async (ids: readonly ObjectLiteral[] | undefined): Promise<LoadedRows> => {
    const { skip: _skip, take: _take, ...rest } = options
    const builder = manager.createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name)
    builder.setFindOptions(rest.where ? { ...rest, where: cloneWhere(metadata, rest.where) } : rest)
    if (ids) builder.andWhereInIds([...ids])
    if (isToldLater) builder.callListeners(false)
    return byKey(builder, metadata, await builder.getRawAndEntities<Row>())
  }
  if (!keys) return find(undefined)
  const loaded = new Map<string, ObjectLiteral | undefined>()
  for (const some of chunksOf(keys, reloadChunk)) for (const [key, entity] of await find(some)) loaded.set(key, entity)
  return loaded
}

/** TypeORM's transformer, of which we call the step that groups the rows of one entity. */
class RowGroups extends RawSqlResultsToEntityTransformer {
  of(rows: Row[], alias: Alias): readonly Row[][] {
    return [...this.group(rows, alias).values()]
  }
}

/**
 * The entities by their keys. TypeORM always reads the primary key, and leaves it out of an entity if it is not selected: so
 * the key comes from the row. The row decides too whether there is an entity: TypeORM makes none if all selected columns of
 * the row are NULL. Values of the entity do not tell this, since a transformer has changed them.
 */
function byKey(
  { expressionMap, dataSource }: SelectQueryBuilder<ObjectLiteral>,
  metadata: EntityMetadata,
  { raw, entities }: { readonly raw: Row[]; readonly entities: readonly ObjectLiteral[] },
): LoadedRows {
  const { mainAlias: alias } = expressionMap
  if (!alias) return new Map()
  const { driver } = dataSource
  const transformer = new RowGroups(expressionMap, driver, [])
  const groups = transformer.of(raw, alias)
  const isEntityEach = groups.length === entities.length
  const columns = metadata.primaryColumns.map(
    (column) => [column, DriverUtils.buildAlias(driver, undefined, alias.name, column.databaseName)] as const,
  )
  const loaded = new Map<string, ObjectLiteral | undefined>()
  let next = 0
  for (const rows of groups) {
    const key: ObjectLiteral = {}
    for (const [column, name] of columns)
      column.setEntityValue(key, driver.prepareHydratedValue(rows[0]?.[name], column))
    const isEntity = isEntityEach || transformer.transform(rows, alias).length > 0
    loaded.set(primaryKeyText(metadata, key), isEntity ? entities[next++] : undefined)
  }
  return loaded
}
