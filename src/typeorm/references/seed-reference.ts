import { readFile } from 'node:fs/promises'
import { type EntityMetadata, EntityPropertyNotFoundError, type ObjectLiteral } from 'typeorm'
import { chunksOf } from '../../collections/chunks-of'
import { ShardedError } from '../../errors/sharded-error'
import { seedOf } from '../../model/reference-table'
import type { ReferenceSeed } from '../../model/sharded-options'
import { lockSeed, noteSeed, passSequence } from '../../references/reference-sql'
import { pathOn, referenceName } from '../binding/references'
import { inTransaction } from '../runners/in-transaction'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardTransaction } from '../runners/shard-transaction'

/** The rows that a reference table has from its beginning. */
export interface TableSeed {
  readonly metadata: EntityMetadata
  readonly seed: ReferenceSeed
}

/** Rows of one statement: its parameters stay below the 65,535 that the protocol has numbers for. */
const rowsAtOnce = 500

/** The seeds of reference tables, by the names of the tables. */
export const seedsOf = (metadatas: readonly EntityMetadata[]): ReadonlyMap<string, TableSeed> =>
  new Map(
    metadatas.flatMap((metadata) => {
      const seed = seedOf(metadata.target)
      return seed ? [[referenceName(metadata), { metadata, seed }] as const] : []
    }),
  )

/**
 * Inserts the rows of a seed, on all nodes in one transaction, where nobody has done it. Who ends in the middle has done nothing; of
 * two processes at once the second waits, and finds it done.
 *
 * @throws ShardedError OPTIONS_INVALID for what is no list of rows; EntityPropertyNotFoundError; what reading or inserting them throws
 */
export async function seedReference(
  runtime: ShardRuntime,
  openRunner: () => ShardTransaction,
  given: TableSeed | undefined,
): Promise<void> {
  if (!given) return
  const { metadata, seed } = given
  const { home } = runtime.map
  const schema = runtime.searchSchemaOf(home)
  const name = referenceName(metadata)
  await inTransaction(new ShardAccess(runtime), openRunner, async (_, transaction) => {
    const [state] = await transaction.onNode(home, lockSeed(schema), [name])
    if (state?.['isSeeded'] !== false) return
    const rows = await rowsOf(metadata, seed)
    for (const some of chunksOf(rows, rowsAtOnce))
      await transaction.manager
        .createQueryBuilder()
        .insert()
        .into(metadata.target)
        .values([...some])
        .orIgnore()
        .updateEntity(false)
        .execute()
    const table = runtime.references.named(name)
    for (const { databaseName, generationStrategy } of metadata.columns)
      if (table && generationStrategy === 'increment')
        await transaction.onNode(home, passSequence(pathOn(table, schema), databaseName), [])
    await transaction.onNode(home, noteSeed(schema), [name])
  })
}

async function rowsOf(metadata: EntityMetadata, seed: ReferenceSeed): Promise<ObjectLiteral[]> {
  const given: unknown = await (seed instanceof URL
    ? readFile(seed, 'utf8').then((text): unknown => JSON.parse(text))
    : typeof seed === 'function'
      ? seed()
      : seed)
  if (!Array.isArray(given) || given.some((row) => typeof row !== 'object' || row === null))
    throw new ShardedError('OPTIONS_INVALID', `${metadata.name}: the seed of a reference table is a list of rows.`, {
      details: { entity: metadata.name },
    })
  const known = new Set(
    [...metadata.columns, ...metadata.relations].map(({ propertyPath }) => propertyPath.split('.')[0]),
  )
  // TypeORM leaves out what it does not know: a misspelt column would be empty for ever.
  for (const row of given)
    for (const property of Object.keys(row))
      if (!known.has(property)) throw new EntityPropertyNotFoundError(property, metadata)
  return given
}
