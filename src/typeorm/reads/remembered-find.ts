import { LRUCache } from 'lru-cache'
import type { EntityManager, EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm'
import type { Driver } from 'typeorm/driver/Driver'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import type { Alias } from 'typeorm/query-builder/Alias'
import type { QueryExpressionMap } from 'typeorm/query-builder/QueryExpressionMap'
import { RawSqlResultsToEntityTransformer } from 'typeorm/query-builder/transformer/RawSqlResultsToEntityTransformer'
import type { Row } from '../../merging/row'
import { mayNameOtherTables } from '../../sql/reads-tables'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import type { ShardAccess } from '../runners/shard-access'
import type { FindOptions } from './find-scope'
import { type FindShape, fillSlots, findShape, ShapeCaches } from './find-shape'

/** The statement that TypeORM makes of a shape of find options, with the placeholder schema: the same for all shards. */
interface RememberedStatement {
  /** How its rows become entities. The builder that made it is let go: it may hold the connection of a transaction. */
  readonly expressionMap: QueryExpressionMap
  readonly alias: Alias
  readonly text: string
  readonly parameters: readonly unknown[]
  /** It may name tables in the application's own words, or its entities be told to their own listeners. */
  readonly needsRunner: boolean
}

/** Letters of the remembered statements of an entity, at most: some four hundred. */
const maxLetters = 4_000_000

/** What a statement weighs besides its text. */
const lettersOfMap = 10_000

const remembered = new ShapeCaches<RememberedStatement | 'joined'>(
  () =>
    new LRUCache({
      maxSize: maxLetters,
      sizeCalculation: (made, key) => key.length + (made === 'joined' ? 0 : made.text.length + lettersOfMap),
    }),
)

/** A find on one shard. */
interface ShardRead {
  readonly access: ShardAccess
  readonly binding: EntityBinding
  readonly shard: Shard
}

/**
 * TypeORM's `find` on one shard by the SQL that it made for a find of the same shape, with the values of this one: making
 * it anew takes a third of this process's time for a find by key.
 *
 * @returns undefined where TypeORM is to do it itself: it may need more than one statement, or its SQL may depend on values
 * @throws what `EntityManager.find` throws
 */
export function rememberedFind(read: ShardRead, options: FindOptions): Promise<ObjectLiteral[]> | undefined {
  const { binding, access, shard } = read
  const shape = isOneStatement(binding, options) ? findShape(binding, options) : undefined
  const statement = shape && (known(binding, shape) ?? remember(binding, access.runtime.managerOf(shard), shape))
  return statement && run(read, statement, shape)
}

/** As `rememberedFind`, where the SQL is remembered; undefined otherwise. */
export function findAgain(read: ShardRead, shape: FindShape): Promise<ObjectLiteral[]> | undefined {
  const statement = known(read.binding, shape)
  return statement && run(read, statement, shape)
}

function run(
  { access, binding, shard }: ShardRead,
  statement: RememberedStatement | 'joined',
  { values }: FindShape,
): Promise<ObjectLiteral[]> | undefined {
  if (statement === 'joined') return undefined
  const parameters = fillSlots(statement.parameters, values)
  if (statement.needsRunner || access.needsRunner(shard))
    return access.onShard(shard, (manager) => findBy(manager, binding, { ...statement, parameters }))
  const { driver } = access.runtime.handle(shard).dataSource
  return access
    .rowsOf(shard, { text: statement.text, parameters })
    .then((rows) => entitiesOf(statement, rows, { driver, queryRunner: undefined }))
}

/** By a query runner, which its listeners and subscribers see. */
async function findBy(
  { dataSource, queryRunner }: EntityManager,
  { metadata }: EntityBinding,
  statement: RememberedStatement,
): Promise<ObjectLiteral[]> {
  const runner = queryRunner ?? dataSource.createQueryRunner(dataSource.defaultReplicationModeForReads())
  try {
    const { records } = await runner.query(statement.text, [...statement.parameters], true)
    if (records.length === 0) return []
    // Lazy relations keep it: that of a transaction alone is of use to them.
    const lasting = queryRunner?.isTransactionActive ? queryRunner : undefined
    const entities = entitiesOf(statement, records, { driver: dataSource.driver, queryRunner: lasting })
    await runner.broadcaster.broadcast('Load', metadata, entities)
    return entities
  } finally {
    if (runner !== queryRunner) await runner.release()
  }
}

function entitiesOf(
  { expressionMap, alias }: RememberedStatement,
  rows: Row[],
  { driver, queryRunner }: { readonly driver: Driver; readonly queryRunner: QueryRunner | undefined },
): ObjectLiteral[] {
  if (rows.length === 0) return []
  // The driver of a shard's data source, which is of PostgreSQL.
  const transformer = new RawSqlResultsToEntityTransformer(expressionMap, driver as PostgresDriver, [], queryRunner)
  return transformer.transform(rows, alias)
}

/** True for finds that TypeORM answers by one statement of the entity's own table, whoever asks. */
function isOneStatement({ metadata }: EntityBinding, options: FindOptions): boolean {
  const { relations, loadRelationIds, loadEagerRelations, lock, cache, transaction } = options
  return (
    relations === undefined &&
    !loadRelationIds &&
    lock === undefined &&
    !cache &&
    !transaction &&
    (metadata.eagerRelations.length === 0 || loadEagerRelations === false) &&
    metadata.relationIds.length === 0
  )
}

const known = (binding: EntityBinding, { key }: FindShape) => remembered.of(binding).get(key)

function remember(binding: EntityBinding, manager: EntityManager, shape: FindShape): RememberedStatement | 'joined' {
  const made = statementOf(binding, manager, shape)
  remembered.of(binding).set(shape.key, made)
  return made
}

function statementOf(
  { metadata }: EntityBinding,
  manager: EntityManager,
  { template }: FindShape,
): RememberedStatement | 'joined' {
  const builder = manager.createQueryBuilder(metadata.target, metadata.name).setFindOptions(template())
  const { expressionMap } = builder
  const { mainAlias: alias, joinAttributes } = expressionMap
  // An order by a relation joins it.
  if (!alias || joinAttributes.length > 0) return 'joined'
  expressionMap.queryEntity = true
  const [text, parameters] = builder.getQueryAndParameters()
  return {
    expressionMap,
    alias,
    text,
    parameters: Array.isArray(parameters) ? parameters : [],
    needsRunner: mayNameOtherTables(text) || isLoadHeard(metadata),
  }
}

/** True where an entity that is loaded has listeners, or one that may hang on it. */
const isLoadHeard = ({ afterLoadListeners, relations, dataSource }: EntityMetadata): boolean =>
  afterLoadListeners.length > 0 ||
  (relations.length > 0 && dataSource.entityMetadatas.some((one) => one.afterLoadListeners.length > 0))
