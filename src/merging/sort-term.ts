/**
 * How the values of a hidden sort column compare, and the JavaScript form they come in. Values in another form are
 * refused, never converted.
 *
 * - `integer`: a safe integer (int2, int4) or its decimal text (int8)
 * - `numeric`: decimal text, `NaN`, `Infinity`, `-Infinity`; also the epoch seconds of dates and timestamps
 * - `float`: a number; NaN is the greatest and equals itself, -0 equals 0
 * - `boolean`: false sorts before true
 * - `bytes`: a `Buffer`, byte by byte, a prefix first
 * - `codepoints`: text whose collation is C, POSIX or C.UTF-8 in a UTF8 database, and uuid as lower case text.
 *   `char(n)` has to be selected as `::text`: PostgreSQL compares it without its padding
 * - `instant`: a `Date`, or Infinity and -Infinity as numbers; it holds what is apart by less than a millisecond equal
 * - `ranked`: text whose order only the database knows; needs the ranks that the database gave to its distinct values
 */
export type SortKind = 'integer' | 'numeric' | 'float' | 'boolean' | 'bytes' | 'codepoints' | 'instant' | 'ranked'

/**
 * One term of an ORDER BY, over a column that every row of every source carries.
 *
 * @example
 * // ORDER BY total DESC: PostgreSQL puts NULLs first unless told otherwise
 * const term: SortTerm = { column: '__k0', kind: 'numeric', descending: true, nullsFirst: true }
 */
export interface SortTerm {
  readonly column: string
  readonly kind: SortKind
  readonly descending: boolean
  /** Where NULLs stand in the output, whatever the direction: PostgreSQL's defaults are already resolved. */
  readonly nullsFirst: boolean
}
