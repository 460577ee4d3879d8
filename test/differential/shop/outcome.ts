import type { DataSource, EntityManager } from 'typeorm'
import { ShardedError } from '../../../src/index'
import { withoutChance } from '../../parity/shop/outcome'
import { apply, contentsOf, isWrite } from './apply'
import type { ShopOperation } from './operation'

/** What came of an operation, as texts that are equal where an application cannot tell the difference. */
export interface ShopOutcome {
  readonly value?: string
  /** The code of the database or of the sharding, else the message. */
  readonly error?: string
  /** The sharding has refused it. */
  readonly isRefused?: boolean
  /** The rows of all tables after a write. */
  readonly contents?: readonly string[]
}

class Undone extends Error {}

/** Does an operation on the rows that are there. What it writes is undone. */
export async function outcomeOf(
  operation: ShopOperation,
  dataSource: DataSource,
  plain: DataSource,
): Promise<ShopOutcome> {
  try {
    if (!isWrite(operation)) return { value: textOf(operation, await apply(operation, dataSource.manager)) }
    return await undone(operation, dataSource, plain)
  } catch (error) {
    return failed(error)
  }
}

/** Does a write for good. */
export async function written(operation: ShopOperation, dataSource: DataSource): Promise<ShopOutcome> {
  try {
    return { value: textOf(operation, await apply(operation, dataSource.manager)) }
  } catch (error) {
    return failed(error)
  }
}

/** The rows of all tables, as texts that are equal where an application cannot tell the difference. */
export const rowsOf = async (dataSource: DataSource, plain: DataSource): Promise<readonly string[]> =>
  (await contentsOf(dataSource.manager, plain)).map(withoutSequences).sort()

function failed(error: unknown): ShopOutcome {
  const { code, message } = error as { code?: string; message?: string } // What is thrown here is an error.
  return { error: code ?? String(message), ...(error instanceof ShardedError && { isRefused: true }) }
}

async function undone(operation: ShopOperation, dataSource: DataSource, plain: DataSource): Promise<ShopOutcome> {
  const outcome: { now: ShopOutcome } = { now: {} }
  const write = async (manager: EntityManager): Promise<never> => {
    const value = textOf(operation, await apply(operation, manager))
    outcome.now = { value, contents: (await contentsOf(manager, plain)).map(withoutSequences).sort() }
    throw new Undone()
  }
  await dataSource.transaction(write).catch((error: unknown) => {
    if (!(error instanceof Undone)) throw error
  })
  return outcome.now
}

const generated = /"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"/g
const ownIds = /^"[1-6]0000000-/
/** In objects, which may be texts within texts. */
const tagIds = /(id\\*":\s*)(\d+)(,\s*\\*"word\\*")/g
const now = /"20(?:2[6-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/g

/** What sequences gave, and ids and times that are made anew, differ from side to side. */
const withoutSequences = (text: string): string =>
  text
    .replace(/^(tag \{"id":)\d+/, (all, start: string) => (Number(all.slice(start.length)) > 3 ? `${start}0` : all))
    .replace(/("tagId":)\d+/, (all, start: string) => (Number(all.slice(start.length)) > 3 ? `${start}0` : all))
    .replace(tagIds, (all, start: string, id: string, end: string) => (Number(id) > 3 ? `${start}0${end}` : all))
    .replace(generated, (id) => (ownIds.test(id) ? id : '"generated"'))
    .replace(now, (time) => (Math.abs(Date.now() - Date.parse(JSON.parse(time))) < 3_600_000 ? '"now"' : time))

/** An answer as a text: classes, properties and values; of lists below the rows, only what is in them. */
function textOf(operation: ShopOperation, value: unknown): string {
  const isRaw = operation.do === 'build' && operation.get === 'getRawMany'
  const isOrdered = !isRaw && (operation.do === 'find' || operation.do === 'build')
  return withoutSequences(JSON.stringify(plainOf(withoutChance(value), isOrdered ? 2 : 0), undefined, 1))
}

/** @param ordered how many lists within each other are in an order: the rows of a find, and those beside their count */
function plainOf(value: unknown, ordered: number): unknown {
  if (Array.isArray(value)) {
    const list = value.map((one) => plainOf(one, ordered - 1))
    return ordered > 0 ? list : list.map((one) => withoutSequences(JSON.stringify(one))).sort()
  }
  if (value instanceof Date) return value.toISOString()
  if (typeof value !== 'object' || value === null || value instanceof Promise) return value
  const entries = Object.entries(value)
    .filter(([name, one]) => one !== undefined && !(one instanceof Promise) && !/^__(?:has|promise)_/.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]): [string, unknown] => [name, plainOf(one, 0)])
  const { name } = value.constructor
  return Object.fromEntries(name === 'Object' ? entries : [['#', name], ...entries])
}
