import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { typeName } from '../binding/describe-entities'
import type { EntityBinding } from '../binding/entity-binding'
import type { ArmQueryBuilder } from '../find/arm-query-builder'

/** A column in SQL, whose values can be sent as texts. */
export interface CountableColumn {
  /** What is compared; where a type is each shard's own, something that sorts like it. */
  readonly expression: string
  readonly castTo: string
  /** SQL for the value as text. */
  readonly text: string
}

/**
 * The types whose text, cast back, is compared as the column is. A text that is cut (a float under another
 * `extra_float_digits`) does no harm: a pivot need not be the value of any row.
 */
const castTypes: Readonly<Record<string, string>> = {
  smallint: 'smallint',
  integer: 'integer',
  bigint: 'bigint',
  numeric: 'numeric',
  decimal: 'numeric',
  real: 'real',
  'double precision': 'double precision',
  boolean: 'boolean',
  uuid: 'uuid',
  bytea: 'bytea',
  date: 'date',
  timestamp: 'timestamp',
  'timestamp without time zone': 'timestamp',
  timestamptz: 'timestamptz',
  'timestamp with time zone': 'timestamptz',
  time: 'time',
  'time without time zone': 'time',
  text: 'text',
  'character varying': 'text',
  varchar: 'text',
  'simple-array': 'text',
  'simple-json': 'text',
  character: 'bpchar',
}

/** ISO 8601 whatever DateStyle is. */
const isoTypes = new Set(['date', 'timestamp', 'timestamptz'])

/**
 * How values of a column are sent; a text says why they cannot be.
 *
 * @param expression the column in SQL, or something that has its value
 */
export function countableColumn(column: ColumnMetadata, expression: string): CountableColumn | string {
  const type = typeName(column)
  if (!column.isArray && (type === 'enum' || type === 'simple-enum')) {
    // The type is each shard's own and has no name that all share: its position sorts like it.
    const position = `array_position(enum_range(${expression})::text[], ${expression}::text)`
    return { expression: position, castTo: 'integer', text: `${position}::text` }
  }
  const castTo = castTypes[type]
  if (castTo === undefined || column.isArray) return `${column.propertyPath} of type ${type} cannot be counted by`
  const text = isoTypes.has(castTo) ? `(to_jsonb(${expression}) #>> '{}')` : `${expression}::text`
  return { expression, castTo, text }
}

type Builder = ArmQueryBuilder<ObjectLiteral>

/** Leaves the primary keys of what is selected, each once: TypeORM makes entities of them that have nothing else. */
export function selectKeysOnly(builder: Builder, { metadata }: Pick<EntityBinding, 'metadata'>): void {
  builder.select(metadata.primaryColumns.map((column) => `${builder.alias}.${column.propertyPath}`))
  builder.distinct(builder.isMultiplied)
}

/** Adds the texts `__p0 …` of the primary key, by which rows are fetched and recognised. */
export function addKeyTexts(builder: Builder, { metadata }: EntityBinding): void {
  for (const [index, column] of metadata.primaryColumns.entries()) {
    const raw = builder.sqlOf(column)
    const known = countableColumn(column, raw)
    builder.addSelect(typeof known === 'string' ? `${raw}::text` : known.text, `__p${index}`)
  }
}
