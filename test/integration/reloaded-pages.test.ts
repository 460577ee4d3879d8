import { DataSource, type EntitySubscriberInterface, EventSubscriber, type FindManyOptions, MoreThan } from 'typeorm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hash, ShardedDataSource } from '../../src/index'
import { Account, bank, Entry, ids, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** Hears of the accounts that were read from a database. */
@EventSubscriber()
class Listener implements EntitySubscriberInterface<Account> {
  static readonly loaded: string[] = []
  listenTo() {
    return Account
  }
  afterLoad({ id }: Account): void {
    Listener.loaded.push(id)
  }
}

let databases: FreshDatabases
let sharded: ShardedDataSource
let plain: DataSource

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  const common = {
    type: 'postgres' as const,
    entities: [...bank.entities],
    subscribers: [Listener],
    synchronize: true,
  }
  const groups = { account: { shards: hash({ shards: 4 }) } }
  sharded = await new ShardedDataSource({ ...common, nodes: { a: { url: a }, b: { url: b } }, groups }).initialize()
  plain = await new DataSource({ ...common, url: databases.oracle }).initialize()
  for (const dataSource of [sharded, plain]) {
    await dataSource.getRepository(Account).insert(twelveAccounts())
    await dataSource.getRepository(Entry).insert(ids.map((accountId) => ({ accountId, amount: 1 })))
  }
})
afterAll(async () => {
  await sharded.destroy()
  await plain.destroy()
  await databases.drop()
})

it.each([
  ['one condition', { balance: MoreThan(0) }],
  ['alternatives', [{ balance: MoreThan(0) }, { owner: 'a' }]],
  ['alternatives of a relation', [{ entries: { amount: 1 } }, { owner: 'a', state: 'open' }]],
])('a page with relations reads the rows of the page only: %s', async (_, where) => {
  const options: FindManyOptions<Account> = {
    where,
    relations: { entries: true },
    order: { id: 'ASC' },
    take: 3,
    skip: 1,
  }
  const reads: (readonly [string[], string[]])[] = []
  for (const dataSource of [plain, sharded]) {
    Listener.loaded.length = 0
    const found = await dataSource.getRepository(Account).find(options)
    reads.push([found.map(({ id }) => id), [...Listener.loaded].sort()])
  }
  expect(reads[0]?.[0]).toHaveLength(3)
  expect(reads[1]).toEqual(reads[0])
})
