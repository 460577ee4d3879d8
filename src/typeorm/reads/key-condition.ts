import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { KeyType } from '../../values/key-type'
import { isEnum } from '../binding/describe-entities'
import type { KeyPair } from '../binding/relation-keys'

/** Keys in one statement: few enough for one array of each column. */
export const keysOfStatement = 5_000

/** A column that is to have a part of a key, as SQL names it. */
export interface KeyedColumn {
  readonly text: string
  readonly type: KeyType
  readonly column: ColumnMetadata
}

/** The types of arrays that keys are sent as. PostgreSQL compares a shorter integer with a bigint by the column's own index. */
const sentAs: Readonly<Record<KeyType, string>> = {
  integer: 'bigint',
  numeric: 'numeric',
  float: 'double precision',
  text: 'text',
  char: 'bpchar',
  uuid: 'uuid',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  bytes: 'bytea',
}

/**
 * The condition of rows that have one of some keys: one text for any number of them, so that what is learnt of a statement is learnt once.
 * Of a key of several columns each has one of its values, by which shards and indexes are found, and all have those of one key.
 *
 * @param keys the values of each key, as PostgreSQL writes them
 * @param parameter takes the values of a column, and gives what stands for them in SQL
 * @example
 * // "a" = ANY($1::bigint[]) AND "b" = ANY($2::text[]) AND ("a", "b") IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
 */
export function keyCondition(
  columns: readonly KeyedColumn[],
  keys: readonly (readonly string[])[],
  parameter: (values: readonly (string | undefined)[]) => string,
): string {
  const [first] = columns
  const names = columns.map((_, index) => parameter(keys.map((key) => key[index])))
  if (columns.length === 1) return `${first?.text} = ANY(${names[0]})`
  // An array knows no enum of a shard.
  const texts = columns.map(({ text, column }) => (isEnum(column) ? `${text}::text` : text))
  const arrays = columns.map(({ type }, index) => `${names[index]}::${sentAs[type]}[]`)
  const each = texts.map((text, index) => `${text} = ANY(${arrays[index]})`)
  return `(${each.join(' AND ')} AND (${texts.join(', ')}) IN (SELECT * FROM unnest(${arrays.join(', ')})))`
}

/** Keys of a relation that rows are to have. */
interface WantedKeys {
  readonly pairs: readonly KeyPair[]
  /** The values of each, as texts. */
  readonly keys: readonly (readonly string[])[]
}

/** Has a query find the rows that belong to keys of a relation. */
export function addKeyCondition(builder: SelectQueryBuilder<ObjectLiteral>, { pairs, keys }: WantedKeys): void {
  const columns = pairs.map(({ far: column, type }) => {
    const text = `${builder.escape(builder.alias)}.${builder.escape(column.databaseName)}`
    return { text, type, column }
  })
  const parameters: ObjectLiteral = {}
  const condition = keyCondition(columns, keys, (values) => {
    const name = `apartKeys${Object.keys(parameters).length}`
    parameters[name] = values
    return `:${name}`
  })
  builder.andWhere(condition, parameters)
}
