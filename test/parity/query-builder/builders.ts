import { expect } from 'vitest'
import { ShardedError } from '../../../src/index'
import type { Target } from '../../support/targets'
import { Category, Customer, Item, Order, Payment, Setting, Visit, Warehouse } from './shop'

/** Query builders of the shop, each made the way that users make them. */
export const builders = (target: Target) => ({
  customers: (alias = 'c') => target.dataSource.getRepository(Customer).createQueryBuilder(alias),
  orders: (alias = 'o') => target.dataSource.createQueryBuilder(Order, alias),
  items: (alias = 'i') => target.dataSource.manager.createQueryBuilder(Item, alias),
  payments: (alias = 'p') => target.dataSource.createQueryBuilder().select(alias).from(Payment, alias),
  categories: (alias = 'g') => target.dataSource.manager.getRepository(Category).createQueryBuilder(alias),
  visits: (alias = 'v') => target.dataSource.getRepository(Visit).createQueryBuilder(alias),
  warehouses: (alias = 'w') => target.dataSource.getRepository(Warehouse).createQueryBuilder(alias),
  settings: (alias = 's') => target.dataSource.getRepository(Setting).createQueryBuilder(alias),
})

export const ids = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id)
export const numbers = (rows: readonly { number: number }[]): number[] => rows.map(({ number }) => number)
export const sortedIds = (rows: readonly { id: string }[]): string[] =>
  ids(rows).toSorted((a, b) => Number(a) - Number(b))
export const sortedNumbers = (rows: readonly { number: number }[]): number[] => numbers(rows).toSorted((a, b) => a - b)

/** Codes that say that something broke: no answer to a query that is refused. */
const broken: readonly string[] = [
  'SHARD_UNAVAILABLE',
  'CONNECTION_LOST',
  'PARTIAL_COMMIT',
  'COMMIT_OUTCOME_UNKNOWN',
  'MERGE_ORDER',
  'QUEUE_FULL',
]

/**
 * What a query may do that is not local to a shard: give exactly the answer of one database, or be refused with a code,
 * on more than one shard only. Never another answer.
 */
export async function expectExactOrRefused<T>(target: Target, answer: () => Promise<T>, expected: T): Promise<void> {
  const refusal = await answer().then(
    (actual) => {
      expect(actual).toEqual(expected)
      return undefined
    },
    (error: unknown) => error,
  )
  if (refusal === undefined) return
  if (target.shards < 2) throw refusal
  if (!(refusal instanceof ShardedError)) throw refusal
  expect(broken).not.toContain(refusal.code)
  expect(refusal.fix).not.toBe('')
}
