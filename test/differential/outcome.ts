import { QueryFailedError } from 'typeorm'
import { ShardedError } from '../../src'

/** What came of an operation on one side, as JSON. */
export interface Outcome {
  readonly value?: unknown
  readonly error?: { readonly name: string; readonly message: string; readonly code: string | undefined }
  /** The code of this package's own error; plain TypeORM has none. */
  readonly refusal?: string
  /** Of a transaction: the operation that was refused. */
  readonly refused?: string
  /** Of a transaction: what came of its operations. */
  readonly parts?: readonly Outcome[]
  /** For the person who reads a report; not compared. */
  readonly stack?: string
}

/** Times from here on were made while the test ran. */
const madeSince = Date.UTC(2025, 0, 1)

/** A value with its JavaScript types, as JSON. Objects say of what class they are; names are sorted. */
export function describe(value: unknown, listsAreSets = false): unknown {
  if (value === undefined) return '«undefined»'
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Object.is(value, -0) ? '«-0»' : Number.isFinite(value) ? value : `«${value}»`
  if (typeof value === 'bigint') return `«${value}n»`
  if (typeof value === 'function') return '«function»'
  if (value instanceof Date) return describeDate(value)
  if (value instanceof Uint8Array) return `«bytes ${Buffer.from(value).toString('hex')}»`
  if (Array.isArray(value)) return describeList(value, listsAreSets)
  return describeObject(value as Record<string, unknown>)
}

function describeDate(value: Date): string {
  const time = value.getTime()
  if (Number.isNaN(time)) return '«Invalid Date»'
  return time >= madeSince ? '«made»' : `«${value.toISOString()}»`
}

function describeList(list: readonly unknown[], isSet: boolean): unknown {
  // A hole is not undefined.
  const described = Array.from(list, (one, index) => (index in list ? describe(one) : '«hole»'))
  return isSet ? described.map((one) => JSON.stringify(one)).sort() : described
}

const related = new Set([
  'entries',
  'items',
  'findings',
  'lines',
  'tins',
  'mapped',
  'entryIds',
  'itemIds',
  'lineIds',
  'tinIds',
])

function describeObject(value: Record<string, unknown>): unknown {
  const { constructor: Class } = Object.getPrototypeOf(value) ?? { constructor: undefined }
  const described: Record<string, unknown> = {}
  // Related entities have no order of their own.
  for (const name of Object.keys(value).sort()) described[name] = describe(value[name], related.has(name))
  return { [`«${Class?.name ?? 'null'}»`]: described }
}

/** An error without the names that differ by design: of schemas, tables, and constraints, which hold the table's name. */
export function describeError(error: unknown): Outcome {
  if (!(error instanceof Error)) return { error: { name: typeof error, message: String(error), code: undefined } }
  const code = error instanceof QueryFailedError ? String((error.driverError as { code?: unknown }).code) : undefined
  const outcome: Outcome = {
    error: { name: error.constructor.name, message: normalise(withoutCondition(error)), code },
    ...(error.stack !== undefined && { stack: error.stack }),
  }
  return error instanceof ShardedError ? { ...outcome, refusal: error.code } : outcome
}

/** It quotes the condition, in which TypeORM has changed values in place by then. */
const withoutCondition = ({ constructor: Class, message }: Error): string =>
  Class.name === 'EntityNotFoundError' ? message.slice(0, message.indexOf('matching')) : message

const normalise = (message: string): string =>
  message
    .replace(/\b(PK|FK|UQ|REL|IDX|CHK)_[0-9a-f]+/g, '$1')
    .replace(/relation "[^"]*"/g, 'relation')
    .replace(/table "[^"]*"/g, 'table')
    .replace(/(enum )?\b[\w.]+_enum\b/g, 'enum')
