import type { KeyType } from './key-type'

/** What a column's declaration says behind the name of its type: `varchar(3)`, `numeric(10, 2)`, `timestamp(0)`. */
export interface TypeModifiers {
  /** Of `varchar(n)` and `char(n)`: characters. */
  readonly length?: number
  /** Of `numeric(p, s)`: digits. Of `timestamp(p)` and `timestamptz(p)`: digits of a second's fraction. */
  readonly precision?: number
  /** Of `numeric(p, s)`: digits behind the decimal point. It has a value wherever a numeric type has a precision. */
  readonly scale?: number
}

/** The full type of a column: all that decides which value PostgreSQL stores for the one that it is given. */
export interface ColumnType extends TypeModifiers {
  readonly type: KeyType
}
