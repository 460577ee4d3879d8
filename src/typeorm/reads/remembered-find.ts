import { LRUCache } from 'lru-cache'
import type { EntityManager, ObjectLiteral } from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import type { Alias } from 'typeorm/query-builder/Alias'
import type { QueryExpressionMap } from 'typeorm/query-builder/QueryExpressionMap'
import { RawSqlResultsToEntityTransformer } from 'typeorm/query-builder/transformer/RawSqlResultsToEntityTransformer'
import { CachesOf } from '../../collections/caches-of'
import type { EntityBinding } from '../binding/entity-binding'
import type { FindOptions } from './find-scope'
import { type FindShape, fillSlots, findShape } from './find-shape'

/** The statement that TypeORM makes of a shape of find options, with the placeholder schema: the same for all shards. */
interface RememberedStatement {
  /** How its rows become entities. The builder that made it is let go: it may hold the connection of a transaction. */
  readonly expressionMap: QueryExpressionMap
  readonly alias: Alias
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** Letters of the remembered statements of an entity, at most: some four hundred. */
const maxLetters = 4_000_000

/** What a statement weighs besides its text. */
const lettersOfMap = 10_000

const remembered = new CachesOf<EntityBinding, RememberedStatement | 'joined'>(
  () =>
    new LRUCache({
      maxSize: maxLetters,
      sizeCalculation: (made, key) => key.length + (made === 'joined' ? 0 : made.text.length + lettersOfMap),
    }),
)

/**
 * TypeORM's `find` on one shard by the SQL that it made for a find of the same shape, with the values of this one: making
 * it anew takes a third of this process's time for a find by key.
 *
 * @returns undefined where TypeORM is to do it itself: it may need more than one statement, or its SQL may depend on values
 * @throws what `EntityManager.find` throws
 */
export async function rememberedFind(
  binding: EntityBinding,
  manager: EntityManager,
  options: FindOptions,
): Promise<ObjectLiteral[] | undefined> {
  const shape = isOneStatement(binding, options) ? findShape(binding, options) : undefined
  const statement = shape && statementOf(binding, manager, shape)
  if (!statement) return undefined
  const { dataSource, queryRunner } = manager
  const runner = queryRunner ?? dataSource.createQueryRunner(dataSource.defaultReplicationModeForReads())
  try {
    const { records } = await runner.query(statement.text, fillSlots(statement.parameters, shape.values), true)
    if (records.length === 0) return []
    const { expressionMap, alias } = statement
    const driver = dataSource.driver as PostgresDriver
    // Lazy relations keep it: that of a transaction alone is of use to them.
    const lasting = queryRunner?.isTransactionActive ? queryRunner : undefined
    const transformer = new RawSqlResultsToEntityTransformer(expressionMap, driver, [], lasting)
    const entities: ObjectLiteral[] = transformer.transform(records, alias)
    await runner.broadcaster.broadcast('Load', binding.metadata, entities)
    return entities
  } finally {
    if (runner !== queryRunner) await runner.release()
  }
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

function statementOf(
  binding: EntityBinding,
  manager: EntityManager,
  { key, template }: FindShape,
): RememberedStatement | undefined {
  const statements = remembered.of(binding)
  const known = statements.get(key)
  if (known) return known === 'joined' ? undefined : known
  const { metadata } = binding
  const builder = manager.createQueryBuilder(metadata.target, metadata.name).setFindOptions(template())
  const { expressionMap } = builder
  const { mainAlias: alias, joinAttributes } = expressionMap
  // An order by a relation joins it.
  if (!alias || joinAttributes.length > 0) {
    statements.set(key, 'joined')
    return undefined
  }
  expressionMap.queryEntity = true
  const [text, parameters] = builder.getQueryAndParameters()
  const made = { expressionMap, alias, text, parameters: Array.isArray(parameters) ? parameters : [] }
  statements.set(key, made)
  return made
}
