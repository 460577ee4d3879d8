import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { NodeFacts } from '../execution/node-pool'
import type { SortKind } from '../merging/sort-kind'
import { typeName } from './describe-entities'

/** How a column's values are brought into a form that this process orders as PostgreSQL does. */
export interface SortColumn {
  readonly kind: SortKind
  /** SQL that gives the form to compare here. */
  readonly comparable: string
  /** SQL by which a node merges its own arms, where `comparable` would not sort as the column does. */
  readonly nodeOrder?: string
  /** For `ranked`: how the database ranks texts of this column, as SQL over `v`. */
  readonly rankBy?: string
  /** The order is that of the database's default collation, wholly or (text within arrays, JSON) in part. */
  readonly isByDefaultCollation?: boolean
}

const kinds: Readonly<Record<string, SortKind>> = {
  smallint: 'integer',
  integer: 'integer',
  bigint: 'integer',
  numeric: 'numeric',
  decimal: 'numeric',
  real: 'float',
  'double precision': 'float',
  boolean: 'boolean',
  uuid: 'codepoints',
  bytea: 'bytes',
}

/** Types whose epoch is exact to the microsecond and which `pg` would cut to milliseconds. */
const epochTypes = new Set([
  'date',
  'timestamp',
  'timestamp without time zone',
  'timestamp with time zone',
  'timestamptz',
  'time',
  'time without time zone',
])

const textTypes = new Set(['text', 'character varying', 'varchar', 'simple-array', 'simple-json', 'name'])

/** Collations by whose name alone the order is known to be that of code points. */
const codePointCollations = new Set(['C', 'POSIX', 'ucs_basic'])

/**
 * @param expression the column in SQL, qualified and quoted
 * @param facts of the nodes that are asked
 */
export function sortColumn(column: ColumnMetadata, expression: string, facts: readonly NodeFacts[]): SortColumn {
  const type = typeName(column)
  const isEnum = (type === 'enum' || type === 'simple-enum') && !column.isArray
  if (isEnum) {
    return { kind: 'integer', comparable: `array_position(enum_range(${expression})::text[], ${expression}::text)` }
  }
  if (column.isArray)
    return {
      kind: 'ranked',
      comparable: `${expression}::text`,
      nodeOrder: expression,
      rankBy: `v::${type}[]`,
      isByDefaultCollation: true,
    }
  const kind = kinds[type]
  if (kind) return { kind, comparable: expression }
  if (epochTypes.has(type)) return { kind: 'numeric', comparable: `extract(epoch from ${expression})` }
  if (!textTypes.has(type))
    return {
      kind: 'ranked',
      comparable: `${expression}::text`,
      nodeOrder: expression,
      rankBy: `v::${type === 'character' ? 'bpchar' : type}`,
    }
  if (column.collation === undefined) {
    const byCodePoint = facts.every((node) => node.sortsByCodePoint)
    const order = byCodePoint ? { kind: 'codepoints' as const } : { kind: 'ranked' as const, rankBy: 'v' }
    return { ...order, comparable: expression, isByDefaultCollation: true }
  }
  if (codePointCollations.has(column.collation)) return { kind: 'codepoints', comparable: expression }
  return { kind: 'ranked', comparable: expression, rankBy: `v COLLATE "${column.collation}"` }
}

/** True where the entity has a column whose type each shard declares for itself. */
export function hasPerShardTypes(metadata: EntityMetadata): boolean {
  return metadata.columns.some((column) => column.type === 'enum' || column.type === 'simple-enum')
}
