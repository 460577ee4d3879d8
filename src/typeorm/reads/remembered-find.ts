import { LRUCache } from 'lru-cache'
import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { QueryExpressionMap } from 'typeorm/query-builder/QueryExpressionMap'
import { mayNameOtherTables } from '../../sql/reads-tables'
import type { EntityBinding } from '../binding/entity-binding'
import { idsApart } from '../binding/relation-apart'
import { transform } from '../hydration/hydrate'
import type { FindOptions } from './find-scope'
import { type FindShape, findShape, ShapeCaches } from './find-shape'

/** The statement that TypeORM makes of a shape of find options, with the placeholder schema: the same for all shards. */
export interface RememberedStatement {
  /** How its rows become entities. The builder that made it is let go: it may hold the connection of a transaction. */
  readonly expressionMap: QueryExpressionMap
  readonly text: string
  readonly parameters: readonly unknown[]
  /** It may name tables in the application's own words, or its entities be told to their own listeners. */
  readonly needsRunner: boolean
}

/** Letters of the remembered statements of an entity, at most: some four hundred. */
const maxLetters = 4_000_000

/** What a statement weighs besides its text. */
const lettersOfMap = 10_000

export const remembered = new ShapeCaches<RememberedStatement | 'joined'>(
  () =>
    new LRUCache({
      maxSize: maxLetters,
      sizeCalculation: (made, key) => key.length + (made === 'joined' ? 0 : made.text.length + lettersOfMap),
    }),
)

/**
 * The statement of TypeORM's `find` on one shard, from the SQL that it made for a find of the same shape: making it anew takes a third
 * of this process's time for a find by key.
 *
 * @param manager of the shard, which makes the SQL where none is remembered
 * @returns undefined where TypeORM is to do it itself: it may need more than one statement, or its SQL may depend on values
 */
export function rememberedStatement(
  binding: EntityBinding,
  manager: EntityManager,
  options: FindOptions,
): { readonly statement: RememberedStatement; readonly values: readonly unknown[] } | undefined {
  const shape = isOneStatement(binding, options) ? findShape(binding, options) : undefined
  if (!shape) return undefined
  const statements = remembered.of(binding)
  const statement = statements.get(shape.key) ?? statementOf(binding, manager, shape)
  statements.set(shape.key, statement)
  return statement === 'joined' ? undefined : { statement, values: shape.values }
}

/** Finds by a query runner, which its listeners and subscribers see. */
export async function findBy(
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
    const entities = transform({ transaction: lasting }, { ...statement, dataSource }, records)
    await runner.broadcaster.broadcast('Load', metadata, entities)
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
    metadata.relationIds.length === 0 &&
    idsApart(metadata).length === 0
  )
}

function statementOf(
  { metadata }: EntityBinding,
  manager: EntityManager,
  { template }: FindShape,
): RememberedStatement | 'joined' {
  const builder = manager.createQueryBuilder(metadata.target, metadata.name).setFindOptions(template())
  const { expressionMap } = builder
  const { mainAlias, joinAttributes } = expressionMap
  // An order by a relation joins it.
  if (!mainAlias || joinAttributes.length > 0) return 'joined'
  expressionMap.queryEntity = true
  const [text, parameters] = builder.getQueryAndParameters()
  return {
    expressionMap,
    text,
    parameters: Array.isArray(parameters) ? parameters : [],
    needsRunner: mayNameOtherTables(text) || isLoadHeard(metadata),
  }
}

/** True where an entity that is loaded has listeners, or one that may hang on it. */
const isLoadHeard = ({ afterLoadListeners, relations, dataSource }: EntityMetadata): boolean =>
  afterLoadListeners.length > 0 ||
  (relations.length > 0 && dataSource.entityMetadatas.some((one) => one.afterLoadListeners.length > 0))
