import type { Readable } from 'node:stream'
import type { EntityManager, EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import type { Row } from '../../merging/row'
import type { NodeSortFacts } from '../../query/node-sort-facts'
import { ArmQueryBuilder } from '../find/arm-query-builder'
import { entitiesOf, entitiesOfRows, type KeyedLoad, keysOf, present } from '../hydration/hydrate'
import { addSortColumns, sortArms } from './find-order'
import { selectKeysOnly } from './key-columns'

type Options = FindManyOptions<ObjectLiteral>

/** The find options of a stream: all but those that ask for something beside its rows. */
export type StreamOptions<Entity extends ObjectLiteral> = Omit<
  FindManyOptions<Entity>,
  'lock' | 'cache' | 'loadRelationIds'
>

/** Entities as they are asked for: a readable of objects, closed by leaving its loop, by an error and by `destroy()`. */
export interface EntityStream<Entity> extends Readable {
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Entity>
}

/** Rows that become entities at once. */
const batchRows = 500

/** Where a stream's rows come from, and its entities where rows alone do not make them. */
export interface StreamSource {
  /** Reads by its own connection and routes; entities with relations are loaded by it. */
  readonly manager: EntityManager
  /** Of the nodes that may be asked, to sort by what their columns are. */
  readonly facts: () => readonly NodeSortFacts[]
  /** Loads entities by the keys that rows have, in place of `manager`. */
  readonly load?: KeyedLoad | undefined
  readonly rows: (text: string, parameters: readonly unknown[]) => AsyncIterable<Row> | Promise<AsyncIterable<Row>>
}

/**
 * The entities of a find, as they are asked for. Where rows are not entities one to one (joins, relations), the rows are
 * primary keys, and each batch of entities is loaded by them.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED for options that a stream does not take, and what the find would refuse
 */
export async function* streamEntities(
  { manager, facts, rows: read, load: loadByKeys }: StreamSource,
  metadata: EntityMetadata,
  options: Options,
): AsyncGenerator<ObjectLiteral, void, undefined> {
  refuseOptions(metadata, options)
  const builder = ArmQueryBuilder.find<ObjectLiteral>(manager.dataSource, metadata, options)
  builder.keepsEnums = true
  const { needsReload } = builder
  if (needsReload) {
    const { skip, take } = builder.writtenPage
    selectKeysOnly(builder, { metadata })
    sortArms(builder, addSortColumns(builder, { facts: facts(), ties: 'any' }))
    builder.skip(undefined).take(undefined).offset(skip).limit(take)
  }
  const load = (rows: readonly Row[]) =>
    loadByKeys
      ? loadByKeys(keysOf(builder, rows))
      : needsReload
        ? entitiesOf(manager, metadata, { options, keys: keysOf(builder, rows) })
        : entitiesOfRows(manager, builder, rows)
  const { text, parameters } = builder.statement()
  let batch: Row[] = []
  for await (const row of await read(text, parameters)) {
    batch.push(row)
    if (batch.length < batchRows) continue
    yield* present(await load(batch))
    batch = []
  }
  if (batch.length > 0) yield* present(await load(batch))
}

function refuseOptions(metadata: EntityMetadata, options: Options): void {
  for (const option of ['lock', 'cache', 'loadRelationIds'] as const) {
    const given = options[option]
    if (given === undefined || given === false) continue
    throw new ShardedError('STATEMENT_UNSUPPORTED', `${metadata.name}.stream does not take the option ${option}.`, {
      details: { entity: metadata.name, option },
    })
  }
}
