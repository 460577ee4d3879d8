import { ofText } from '../collections/of-text'

// PostgreSQL's words are ASCII, and these tests meet every statement: with the flag `u` a `\b` makes them twenty times as slow.

/** Calls and comparisons whose grammar has a FROM that names no table. */
const otherFrom = /\bis\s+(?:not\s+)?distinct\s+from\b|\b(?:extract|substring|trim|overlay)\s*\([^()]*\bfrom\b/gi

const tableWord = /\b(?:from|join|table)\b/i

/**
 * Whether a piece of SQL (an expression, a condition, a subquery) may read a table. True too often rather than too rarely: a
 * table is named behind FROM, JOIN or TABLE only, and a literal with such a word counts as one.
 *
 * @example
 * readsTables('(SELECT max(n) FROM "order")') // true
 * readsTables('extract(year FROM born) + 1') // false
 */
export const readsTables = (fragment: string): boolean => tableWord.test(fragment.replace(otherFrom, ' '))

/** Places where a statement names a table, but for those where it names one of the placeholder schema or calls `unnest`. */
const namedTable =
  /\b(?:from|join|into|update|using|table|only)\b(?!\s+(?:"__shard__"\s*\.|unnest\s*\(|(?:set|of|nowait|skip)\b)|\s*$)|\breg(?:class|type)\b|\bto_reg/i

/**
 * Whether a statement for one shard may name a table in words that TypeORM did not make: TypeORM's own names stand in the
 * placeholder schema. True too often rather than too rarely.
 */
export const mayNameOtherTables = ofText((text) => namedTable.test(text))
