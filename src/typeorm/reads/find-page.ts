import type { DataSource, EntityManager, EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { executeRead } from '../../execution/execute-read'
import type { CursorSigner, Position } from '../../merging/cursor'
import type { Row } from '../../merging/row'
import { planSorted } from '../../planning/plan-page'
import { ArmQueryBuilder } from '../find/arm-query-builder'
import { Page, type PageRequest } from '../find/page'
import { entitiesOf, entitiesOfRows, hydrate, type KeyedLoad, keysOf, type Places, reload } from '../hydration/hydrate'
import { FindArms } from './find-arms'
import { newBuilder, type ReadScope } from './find-scope'
import { selectKeysOnly } from './key-columns'
import { Keyset } from './keyset'
import { withTrueTypes } from './read-operations'

type Options = FindManyOptions<ObjectLiteral>

/** What a page is made with, besides the rows of a database. */
export interface PageWork {
  readonly request: PageRequest
  readonly signer: CursorSigner
  /** Loads the entities of a page by their keys, which the rows have. */
  readonly load?: KeyedLoad
}

/**
 * A page of one database, of an unsharded entity or of one shard, as it would be asked for.
 *
 * @returns `isReloaded`: rows are not entities one to one, and a first statement gives primary keys and positions
 * @throws ShardedError CURSOR_INVALID, ORDER_UNSUPPORTED
 */
export function planOfOne(
  dataSource: DataSource,
  metadata: EntityMetadata,
  { options, work }: { readonly options: Options; readonly work: PageWork },
) {
  const builder = ArmQueryBuilder.find(dataSource, metadata, options)
  const isReloaded = builder.needsReload
  const keyset = Keyset.of(builder, work.request)
  keyset.place(builder, positionIn(keyset, work))
  if (isReloaded) selectKeysOnly(builder, { metadata })
  keyset.finishOrder(builder)
  keyset.select(builder)
  builder.limit(work.request.take + 1)
  return { keyset, isReloaded, builder }
}

/** A page of one database. @throws ShardedError CURSOR_INVALID, ORDER_UNSUPPORTED */
export async function pageOfOne(
  manager: EntityManager,
  metadata: EntityMetadata,
  { options, work }: { readonly options: Options; readonly work: PageWork },
): Promise<Page<ObjectLiteral>> {
  const { keyset, isReloaded, builder } = planOfOne(manager.dataSource, metadata, { options, work })
  if (manager.queryRunner) builder.setQueryRunner(manager.queryRunner)
  const rows = await builder.getRawMany<Row>()
  const wanted = rows.slice(0, work.request.take)
  const entities = work.load
    ? await work.load(keysOf(builder, wanted))
    : isReloaded
      ? await entitiesOf(manager, metadata, { options, keys: keysOf(builder, wanted) })
      : await entitiesOfRows(manager, builder, wanted)
  return pageFrom({ rows, entities, keyset }, work)
}

/**
 * A page over several shards, as it would be asked for: the scatter of a find with one row more than the page, that starts
 * at the cursor.
 *
 * @returns as `planOfOne`; by the builder TypeORM makes entities of the rows, or of their primary keys
 * @throws ShardedError CURSOR_INVALID, ORDER_UNSUPPORTED, COLLATION_DIFFERS
 */
export function planOverShards(scope: ReadScope, options: Options, work: PageWork) {
  const find = { ...options, take: work.request.take + 1 }
  const template = newBuilder(scope, find)
  const keyset = Keyset.of(template, work.request)
  const position = positionIn(keyset, work)
  const placement = {
    place: (builder: ArmQueryBuilder<ObjectLiteral>) => keyset.place(builder, position),
    select: (builder: ArmQueryBuilder<ObjectLiteral>) => keyset.select(builder),
  }
  const arms = new FindArms(scope, find, { builder: template, isPaged: true, placement })
  const { source, order } = arms.sorted()
  const page = { offset: 0, limit: find.take, end: find.take }
  const plan = planSorted({ source, order }, page, scope.shards)
  return { keyset, isReloaded: template.needsReload, plan, builder: arms.hydrator }
}

/** A page over several shards. @throws ShardedError CURSOR_INVALID, ORDER_UNSUPPORTED, COLLATION_DIFFERS */
export const pageOverShards = (scope: ReadScope, options: Options, work: PageWork): Promise<Page<ObjectLiteral>> =>
  withTrueTypes(scope, () => readPage(scope, options, work))

async function readPage(scope: ReadScope, options: Options, work: PageWork): Promise<Page<ObjectLiteral>> {
  const { access, binding } = scope
  const { keyset, isReloaded, plan, builder } = planOverShards(scope, options, work)
  const rows = await executeRead(plan, access)
  const wanted = rows.slice(0, work.request.take)
  const entities = work.load
    ? await work.load(keysOf(builder, wanted))
    : isReloaded
      ? (await reload(access, binding, { builder, rows: wanted, options, isPaged: true })).places
      : await hydrate(access, { binding, builder, rows: wanted })
  return pageFrom({ rows, entities, keyset }, work)
}

const positionIn = (keyset: Keyset, { request: { cursor }, signer }: PageWork) =>
  cursor === undefined ? undefined : signer.open(cursor, keyset.scope)

/** Rows with their positions, in the order of the page or turned round. */
interface Found {
  readonly rows: readonly Row[]
  readonly entities: Places
  readonly keyset: Keyset
}

/**
 * The row too many tells that there is more; the others are the page, in the order that was asked for. A row of which TypeORM
 * makes no entity is left out as a find leaves it out, and yet is a place that the next page can start at.
 */
function pageFrom({ rows, entities, keyset }: Found, { request, signer }: PageWork): Page<ObjectLiteral> {
  const { take, backwards, cursor } = request
  const hasMore = rows.length > take
  const read = rows.slice(0, take).map((row, index) => ({ entity: entities[index], position: keyset.positionOf(row) }))
  if (backwards) read.reverse()
  const placed = read.flatMap(({ entity, position }) => (entity ? [{ entity, position }] : []))
  const [first, last] = [read[0], read.at(-1)]
  const cursorAt = (position: Position = []) => signer.sign(position, keyset.scope)
  return new Page({
    rows: placed.map(({ entity }) => entity),
    startCursor: first ? cursorAt(first.position) : null,
    endCursor: last ? cursorAt(last.position) : null,
    hasNextPage: backwards ? cursor !== undefined : hasMore,
    hasPreviousPage: backwards ? hasMore : cursor !== undefined,
    cursorOf: (index) => cursorAt(placed[index]?.position),
  })
}
