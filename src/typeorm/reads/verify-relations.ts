import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { Row } from '../../merging/row'
import { leadsApart } from '../binding/relation-apart'
import { type KeyPair, type ReferringColumns, referringColumns, relationKey } from '../binding/relation-keys'
import { targetOf } from './read-links'

/** What was found of one relation to rows elsewhere, on the side that has its join columns. */
export interface RelationReport {
  readonly entity: string
  readonly property: string
  /** Different keys that rows refer to. */
  readonly keys: number
  /** Those of them that no row has. */
  readonly missing: number
  /** The first 100 of these, as PostgreSQL writes them; several values of a key of several columns. */
  readonly examples: readonly (readonly string[])[]
}

/** Keys that are compared at once. */
const batchSize = 1_000

/** Keys that a report lists. */
const maxListed = 100

/** Compares the keys of each relation that leads apart with the rows that it leads to, one batch after the other. */
export async function verifyRelations(
  manager: EntityManager,
  metadatas: readonly EntityMetadata[],
): Promise<readonly RelationReport[]> {
  const reports: RelationReport[] = []
  for (const { relations, tableType, name } of metadatas) {
    if (tableType === 'entity-child') continue
    for (const relation of relations) {
      const columns = leadsApart(relation) ? referringColumns(relation) : undefined
      if (columns) reports.push(await reportOf(manager, { relation, columns, name }))
    }
  }
  return Object.freeze(reports)
}

interface Compared {
  readonly relation: RelationMetadata
  readonly columns: ReferringColumns
  readonly name: string
}

async function reportOf(manager: EntityManager, { relation, columns, name }: Compared): Promise<RelationReport> {
  const { pairs } = columns
  let keys = 0
  let missing = 0
  const examples: (readonly string[])[] = []
  for (let batch = await keysAfter(manager, columns, undefined); batch.length > 0; ) {
    keys += batch.length
    const found = await keysOf(manager, { relation, pairs, batch })
    for (const key of batch) {
      if (found.has(relationKey(key, pairs))) continue
      missing++
      if (examples.length < maxListed) examples.push(Object.freeze(key))
    }
    batch = batch.length < batchSize ? [] : await keysAfter(manager, columns, batch.at(-1))
  }
  return Object.freeze({
    entity: name,
    property: relation.propertyPath,
    keys,
    missing,
    examples: Object.freeze(examples),
  })
}

type Key = readonly string[]

const keyName = (index: number): string => `key${index}`

/** The next keys that rows refer to, in the order of their columns. */
async function keysAfter(
  manager: EntityManager,
  { table, pairs }: ReferringColumns,
  last: Key | undefined,
): Promise<readonly Key[]> {
  const { name } = table
  const builder = manager.createQueryBuilder<ObjectLiteral>(targetOf(table), name)
  builder.withDeleted().select([]).distinct(true)
  const columns = pairs.map(({ own }) => `${builder.escape(name)}.${builder.escape(own.databaseName)}`)
  for (const [index, column] of columns.entries()) {
    builder.addSelect(column, `sorted${index}`).addOrderBy(builder.escape(`sorted${index}`))
    // The driver's values may say less: of a time it gives milliseconds.
    builder.addSelect(`${column}::text`, keyName(index))
    builder.andWhere(`${column} IS NOT NULL`)
  }
  if (last) {
    const values = last.map((_, index) => `:last${index}`)
    builder.andWhere(`(${columns.join(', ')}) > (${values.join(', ')})`)
    builder.setParameters(Object.fromEntries(last.map((value, index) => [`last${index}`, value])))
  }
  const rows = await builder.limit(batchSize).getRawMany<Row>()
  return rows.map((row) => columns.map((_, index) => String(row[keyName(index)])))
}

interface Batch {
  readonly relation: RelationMetadata
  readonly pairs: readonly KeyPair[]
  readonly batch: readonly Key[]
}

/** Those of some keys that there are rows of, soft-deleted ones too. */
async function keysOf(manager: EntityManager, { relation, pairs, batch }: Batch): Promise<ReadonlySet<string>> {
  const { target, name } = relation.inverseEntityMetadata
  const builder = manager.createQueryBuilder<ObjectLiteral>(target, name).withDeleted().select([])
  for (const [index, { far }] of pairs.entries()) {
    const column = `${builder.escape(name)}.${builder.escape(far.databaseName)}`
    builder.addSelect(`${column}::text`, keyName(index))
    // Of a key of several columns, rows that share a value with each are more than are asked for, and no harm.
    builder.andWhere(`${column} = ANY(:values${index})`, { [`values${index}`]: batch.map((key) => key[index]) })
  }
  const rows = await builder.getRawMany<Row>()
  return new Set(
    rows.map((row) =>
      relationKey(
        pairs.map((_, index) => String(row[keyName(index)])),
        pairs,
      ),
    ),
  )
}
