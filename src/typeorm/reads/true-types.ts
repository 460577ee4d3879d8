import type { EntityMetadata } from 'typeorm'
import { sqlState } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import { physicalName } from '../../planning/bind-shard-names'
import { isFailedCheck } from '../../planning/schema-check'
import type { ValueType } from '../../query/sort-form'
import { typeKind } from '../../query/type-kind'
import type { Shard } from '../../topology/shard'
import { learnType } from '../binding/sort-column'
import type { ReadScope } from './find-query'

/**
 * Runs a read whose statements carry the types that it was planned for. If the tables have others, since they were altered or are declared
 * otherwise, the types are learnt, and the read is planned and run once more.
 *
 * @throws ShardedError PLAN_STALE in a transaction, which the server has aborted, and while the shards of a table differ
 */
export async function withTrueTypes<T>(scope: ReadScope, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    // What a plan makes of a value (`extract`, `enum_range`) may not exist for the type that a column has.
    if (!sqlState(error)?.startsWith('42')) throw error
    const hasNews = await learnTypes(scope).catch(() => false)
    if (!hasNews && !isFailedCheck(error, '')) throw error
    if (!hasNews || scope.access.transaction) throw typesDiffer(scope, error)
    return read().catch((again: unknown) => {
      throw isFailedCheck(again, '') ? typesDiffer(scope, again) : again
    })
  }
}

const typesDiffer = ({ binding: { entity } }: ReadScope, cause: unknown): ShardedError =>
  new ShardedError(
    'PLAN_STALE',
    `The tables of ${entity.name} have other types than a read was planned for, or not the same on all shards: ${String(cause)}.`,
    { details: { entity: entity.name }, cause },
  )

/** Asks a shard for the types of the columns of all entities that stand there. @returns true if one is not as it was known */
async function learnTypes({ access, binding, shards: [shard] }: ReadScope): Promise<boolean> {
  if (!shard) return false
  const entities = tablesOf(binding.metadata.dataSource.entityMetadatas, shard)
  const names = [...entities.keys()]
  const { rows } = await access.runtime.pool(shard.node).background.query(typesQuery, [names])
  let hasNews = false
  for (const row of rows as readonly TypeRow[]) {
    for (const { columns } of entities.get(row.table) ?? [])
      for (const column of columns)
        if (column.databaseName === row.column) hasNews = learnType(column, typeOf(row)) || hasNews
  }
  return hasNews
}

function tablesOf(metadatas: readonly EntityMetadata[], shard: Shard): ReadonlyMap<string, readonly EntityMetadata[]> {
  const tables = new Map<string, EntityMetadata[]>()
  for (const metadata of metadatas) {
    const { schema, name } = physicalName(metadata.tableName, shard)
    const table = `${schema}.${name}`
    tables.set(table, [...(tables.get(table) ?? []), metadata])
  }
  return tables
}

interface TypeRow {
  readonly table: string
  readonly column: string
  readonly name: string
  readonly kind: string
  readonly collation: string | null
  readonly base: string | null
  readonly base_kind: string | null
}

function typeOf({ name, kind, collation: found, base, base_kind }: TypeRow): ValueType {
  const collation = found ?? undefined
  const under: ValueType | undefined = base === null ? undefined : { name: base, kind: typeKind(base_kind), collation }
  return Object.freeze({ name, kind: typeKind(kind), collation, ...(under && { base: under }) })
}

const typesQuery = `SELECT concat(n.nspname, '.', r.relname) AS table, a.attname AS column, format_type(t.oid, -1) AS name,
  CASE WHEN e.typtype = 'e' THEN 'e' ELSE t.typtype END AS kind, format_type(b.oid, -1) AS base, b.typtype AS base_kind,
  CASE WHEN c.collname = 'default' THEN '"default"' ELSE quote_ident(s.nspname) || '.' || quote_ident(c.collname) END AS collation
  FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
  LEFT JOIN pg_collation c ON c.oid = a.attcollation LEFT JOIN pg_namespace s ON s.oid = c.collnamespace
  WHERE concat(n.nspname, '.', r.relname) = ANY($1::text[]) AND a.attnum > 0 AND NOT a.attisdropped`
