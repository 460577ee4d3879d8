import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { typeName } from './describe-entities'

/** How a column's value travels in a cursor: exactly, and the same in every session. */
export interface PositionColumn {
  /** SQL for the value as text; NULL for NULL. */
  readonly text: string
  /** SQL for the value, of the column's own type or unknown to it, from SQL that gives the text. */
  readonly value: (text: string) => string
  /** The text that stands for a value which the session's settings would cut. */
  readonly inexact?: string
}

const inexact = '~'

const asIs = (text: string): string => text

const floats = new Set(['real', 'double precision'])

/**
 * The text is the type's own, to the last digit and microsecond, except where it would depend on settings of the session:
 * JSON's form of times is ISO 8601 whatever DateStyle is, and a time with zone is written in UTC. A parameter without a
 * cast takes the type of what it is compared with, so that enums need not be named, which each shard has for itself.
 *
 * @param expression the column in SQL, qualified and quoted
 */
export function positionColumn(column: ColumnMetadata, expression: string): PositionColumn {
  const type = typeName(column)
  if (floats.has(type)) return float(expression, column.isArray ? `${type}[]` : type)
  if (column.isArray) return { text: `${expression}::text`, value: asIs }
  switch (type) {
    case 'date':
    case 'timestamp':
    case 'timestamp without time zone':
      return { text: iso(expression), value: asIs }
    case 'timestamptz':
    case 'timestamp with time zone':
      return {
        text: iso(`(${expression} AT TIME ZONE 'UTC')`),
        value: (text) => `(CAST(${text} AS timestamp) AT TIME ZONE 'UTC')`,
      }
    case 'interval':
      return { text: interval(expression), value: asIs }
    case 'money':
      return { text: `${expression}::numeric::text`, value: (text) => `CAST(${text} AS numeric)::money` }
    case 'bytea':
      return { text: `encode(${expression}, 'hex')`, value: (text) => `decode(${text}, 'hex')` }
    default:
      return { text: `${expression}::text`, value: asIs }
  }
}

const iso = (expression: string): string => `(to_jsonb(${expression}) #>> '{}')`

/** With `extra_float_digits` below 1 the text is not the value. */
const float = (expression: string, type: string): PositionColumn => ({
  text: `CASE WHEN ${expression}::text::${type} <> ${expression} THEN '${inexact}' ELSE ${expression}::text END`,
  value: asIs,
  inexact,
})

/** Every field with its sign, which any IntervalStyle reads alike; infinite intervals as they are. */
function interval(expression: string): string {
  const field = (name: string): string => `extract(${name} from ${expression})`
  const parts = [
    [`${field('year')} * 12 + ${field('month')}`, 'mons'],
    [field('day'), 'days'],
    [`${field('hour')} * 3600000000 + ${field('minute')} * 60000000 + ${field('microseconds')}`, 'us'],
  ] as const
  const texts = parts.map(([sql, unit]) => `to_char(${sql}, 'SFM9999999999999999999') || ' ${unit}'`)
  return `CASE WHEN isfinite(${expression}) THEN ${texts.join(" || ' ' || ")} ELSE ${expression}::text END`
}
