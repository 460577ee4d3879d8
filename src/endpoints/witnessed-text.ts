import type { RangeVar } from '@pgsql/types'
import { LRUCache } from 'lru-cache'
import { type ParameterColumn, parameterColumns } from '../sql/parameter-columns'
import { parseStatement } from '../sql/parse-statement'
import { isParserLoaded } from '../sql/parser'
import { quoted } from '../values/quoted'

/** Takes two arrays of one type only. */
const witnessFunction = 'pg_catalog.array_eq'

/** True for the error of a witness: the column has another type than at the first parse. */
export const isWitnessRefusal = (error: Error): boolean => error.message.includes(`${witnessFunction}(`)

/** A text that may be prepared: PostgreSQL refuses it once the types of its parameters are no longer what they were. */
export interface WitnessedText {
  readonly text: string
  /** Parameters that follow the statement's own. Each is always NULL. */
  readonly witnesses: number
}

/** Letters of the texts that are remembered, given and made: a process prepares the same texts on many connections. */
const maxRememberedLetters = 4_000_000

/** A statement over more columns than this takes long anyway. PostgreSQL takes 65,535 parameters. */
const maxWitnesses = 4_096

const remembered = new LRUCache<string, { readonly witnessed: WitnessedText | undefined }>({
  maxSize: maxRememberedLetters,
  sizeCalculation: ({ witnessed }, text) => text.length + (witnessed?.text.length ?? 0) + 1,
})

/**
 * What to prepare for a text.
 *
 * PostgreSQL gives a parameter its type at the first parse of a prepared statement, and keeps the type when somebody alters the
 * table: `SET at = $1` then cuts a timestamp to the date that the column was. PostgreSQL does parse the statement again, with the types fixed. So a
 * query that nothing reads goes before the statement. It compares each column that gives a parameter its type with one more
 * parameter, by a function that takes no other type. At the first parse the witness gets the type of the column. If the
 * column has another type later, the parse fails, under the lock of the very statement. PostgreSQL drops the query when it plans.
 *
 * @returns undefined if the text must not be prepared
 */
export function witnessedText(text: string, parameterCount: number): WitnessedText | undefined {
  if (parameterCount === 0) return { text, witnesses: 0 }
  // Before the parser is loaded, nothing is prepared.
  if (!isParserLoaded()) return undefined
  const known = remembered.get(text)
  if (known) return known.witnessed
  const witnessed = witness(text, parameterCount)
  remembered.set(text, { witnessed })
  return witnessed
}

/** The server does not take the text with its witnesses. */
export const mustNotPrepare = (text: string): void => void remembered.set(text, { witnessed: undefined })

function witness(text: string, parameterCount: number): WitnessedText | undefined {
  // Its own query of this name, or a table, would be taken for ours.
  if (isNamedSo.test(text)) return undefined
  const parsed = parseStatement(text)
  const columns = parsed && parameterColumns(parsed)
  if (!columns || columns.length > maxWitnesses) return undefined
  if (columns.length === 0) return { text, witnesses: 0 }
  const cte = `"__types__" AS (${witnessQuery(columns, parameterCount)})`
  const [start, keywords] = ownWith.exec(text) ?? []
  if (keywords === undefined) return { text: `WITH ${cte} ${text}`, witnesses: columns.length }
  return { text: `${start} ${cte}, ${text.slice(start?.length)}`, witnesses: columns.length }
}

const isNamedSo = /__types__|u&"/i

const ownWith = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(with\s+recursive\b|with\b)/i

function witnessQuery(columns: readonly ParameterColumn[], parameterCount: number): string {
  const tables = [...new Set(columns.map(({ table }) => table))]
  const checks = columns.map(({ table, name }, index) => {
    const column = `t${tables.indexOf(table)}.${quoted(name)}`
    const witness = `$${parameterCount + index + 1}`
    // COALESCE gives the witness its type, and later refuses an array in the place of a value. NULL takes the place of the witness in the
    // second, so that both sides have the type under a domain.
    return `coalesce(${column}, ${witness}) IS NULL OR ${witnessFunction}(ARRAY[coalesce(${column}, NULL)], ARRAY[${witness}])`
  })
  return `SELECT ${checks.join(' OR ')} FROM ${tables.map((table, index) => `${nameOf(table)} AS t${index}`).join(', ')}`
}

const nameOf = ({ schemaname, relname = '' }: RangeVar): string =>
  schemaname === undefined ? quoted(relname) : `${quoted(schemaname)}.${quoted(relname)}`
