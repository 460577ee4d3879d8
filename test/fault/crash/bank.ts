import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import {
  Column,
  type DataSource,
  Entity,
  EntityNotFoundError,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import {
  CommitOutcomeUnknownError,
  GlobalUnique,
  hash,
  LookupIndex,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedError,
  ShardKey,
} from '../../../src/index'
import type { Rng } from '../../differential/rng'

export const accountCount = 16
const openingBalance = 1000
const shards = 4

@Entity()
@Sharded(hash({ shards }))
export class Account {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int')
  balance!: number
}

/** One side of a transfer: appended where its account is, in the transaction that changes the balance. */
@Entity()
@Sharded({ colocatedWith: () => Account })
export class Entry {
  @PrimaryColumn('uuid')
  transfer!: string

  @ShardKey()
  @PrimaryColumn('int')
  account!: number

  @Column('int')
  amount!: number
}

/** A card belongs to an account, and goes to others with its stamps. */
@Entity()
@Sharded({ colocatedWith: () => Account })
export class Card {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  account!: number

  @OneToMany(
    () => Stamp,
    (stamp) => stamp.card,
  )
  stamps!: Relation<Stamp>[]
}

@Entity()
@Sharded({ colocatedWith: () => Account })
export class Stamp {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  account!: number

  @Column('int')
  cardId!: number

  @ManyToOne(
    () => Card,
    (card) => card.stamps,
  )
  card!: Relation<Card>
}

/** A member of the bank: no two have one name. */
@Entity()
@Sharded({ colocatedWith: () => Account })
export class Member {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @GlobalUnique()
  @Column('varchar')
  name!: string

  @LookupIndex()
  @Column('int')
  branch!: number
}

const memberCount = 12
const names = 8
const branches = 3

export const cardCount = 6
export const stampsOfCard = 2

/** A transfer of this amount is refused at PREPARE TRANSACTION or COMMIT, by a deferred constraint of the database. */
export const refusedAmount = 13

export type Urls = readonly [string, string]

export const bankOptions = ([left, right]: Urls): ShardedDataSourceOptions => ({
  type: 'postgres',
  entities: [Account, Entry, Card, Stamp, Member],
  nodes: { left: { url: left, poolSize: 6 }, right: { url: right, poolSize: 6 } },
  transactions: 'two-phase',
  connectTimeoutMS: 3_000,
  poolErrorHandler: () => undefined,
  logging: false,
})

/** Creates the tables, the accounts and the constraint. */
export async function openBank(urls: Urls): Promise<ShardedDataSource> {
  const dataSource = await new ShardedDataSource({ ...bankOptions(urls), logger: quiet }).initialize()
  await dataSource.synchronize()
  const accounts = Array.from({ length: accountCount }, (_, id) => ({ id, balance: openingBalance }))
  await dataSource.getRepository(Account).insert(accounts)
  const cards = Array.from({ length: cardCount }, (_, id) => ({ id, account: id }))
  await dataSource.getRepository(Card).insert(cards)
  const stamps = cards.flatMap(({ id, account }) =>
    Array.from({ length: stampsOfCard }, (_, n) => ({ id: id * stampsOfCard + n, account, cardId: id })),
  )
  await dataSource.getRepository(Stamp).insert(stamps)
  for (const { name } of dataSource.shards(Entry)) {
    await dataSource.shard(name).query(`
      CREATE FUNCTION "${name}".refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF abs(NEW.amount) = ${refusedAmount} THEN RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END IF; RETURN NULL; END $$`)
    await dataSource.shard(name).query(`
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON "__shard__"."entry"
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "${name}".refuse()`)
  }
  return dataSource
}

/** What is logged of nodes that are killed on purpose. */
export const quiet = {
  log() {},
  logQuery() {},
  logQueryError() {},
  logQuerySlow() {},
  logSchemaBuild() {},
  logMigration() {},
}

/** What a caller was told of its transfer. */
export type Told = 'committed' | 'nothing written' | 'unknown'

export interface Transfer {
  readonly id: string
  readonly told: Told
}

/** Moves an amount between two random accounts: two balances, two entries. */
export async function transfer(dataSource: DataSource, random: Rng): Promise<Transfer> {
  const id = randomUUID()
  const [from, to] = pair(random)
  const amount = random.oneIn(5) ? refusedAmount : 1 + random.int(refusedAmount - 1)
  try {
    await dataSource.transaction(async (manager) => {
      // In one order, so that no two transfers wait for each other on two nodes.
      for (const [account, sign] of from < to
        ? ([
            [from, -1],
            [to, 1],
          ] as const)
        : ([
            [to, 1],
            [from, -1],
          ] as const)) {
        await manager.increment(Account, { id: account }, 'balance', sign * amount)
        await manager.insert(Entry, { transfer: id, account, amount: sign * amount })
      }
    })
    return { id, told: 'committed' }
  } catch (error) {
    return { id, told: toldBy(error) }
  }
}

/** Moves a random card, and its stamps, to a random account. What became of it is seen on the servers. */
export async function moveCard(dataSource: ShardedDataSource, random: Rng): Promise<void> {
  const cards = dataSource.getRepository(Card)
  try {
    // Between the commits of two nodes a card may be seen on both, or on none.
    const [card] = await cards.findBy({ id: random.int(cardCount) })
    if (card) await cards.move(card, random.int(accountCount), { children: true })
  } catch (error) {
    if (error instanceof EntityNotFoundError) return
    toldBy(error)
  }
}

/** Writes members by a random way; names are few, so that many are refused. */
export async function writeMembers(dataSource: ShardedDataSource, random: Rng): Promise<void> {
  const members = dataSource.getRepository(Member)
  const id = random.int(memberCount)
  const member = { id, name: `name ${random.int(names)}`, branch: random.int(branches) }
  try {
    await random.weighted<Promise<unknown>>([
      [3, () => members.save(member)],
      [3, () => members.upsert(member, ['id'])],
      [2, () => members.update({ id }, { branch: member.branch })],
      [2, () => members.update({ branch: member.branch }, { branch: random.int(branches) })],
      [1, () => members.delete({ id })],
      [1, () => members.delete({ name: member.name })],
    ])
  } catch (error) {
    toldBy(error)
  }
}

function pair(random: Rng): readonly [number, number] {
  const from = random.int(accountCount)
  return [from, (from + 1 + random.int(accountCount - 1)) % accountCount]
}

/** What an error promises: only those that say nothing of it leave the caller in doubt. */
export function toldBy(error: unknown): Told {
  if (error instanceof CommitOutcomeUnknownError) return 'unknown'
  if (error instanceof ShardedError && error.has('no-writes')) return 'nothing written'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  // The server's own refusals: of a constraint, of two that waited for each other.
  if (code === '23505' || code === '23514' || code === '40P01' || code === '40001') return 'nothing written'
  throw error
}

/** What is on the servers, read past every data source. */
export interface BankState {
  readonly balance: number
  readonly prepared: number
  /** Of each transfer, its entries: two that cancel each other out, of two accounts. */
  readonly entries: ReadonlyMap<string, readonly number[]>
  /** Cards by their id, with the account of each row that there is, and those of their stamps. */
  readonly cards: readonly string[]
  /** Accounts whose balance is not what their entries make. */
  readonly wrong: readonly number[]
}

/**
 * What is prepared is counted first, on both nodes: a server may still end, for a client that is dead, what that had sent, and
 * rows that were read before and after would be those of two times.
 */
export async function readBank(urls: Urls): Promise<BankState> {
  const prepared = await Promise.all(urls.map(countPrepared))
  const parts = await Promise.all(urls.map(readNode))
  const entries = new Map<string, number[]>()
  for (const { transfer: id, amount } of parts.flatMap((part) => part.entries))
    entries.set(id, [...(entries.get(id) ?? []), amount])
  const accounts = parts.flatMap((part) => part.accounts)
  return {
    balance: accounts.reduce((sum, { balance }) => sum + balance, 0),
    prepared: prepared.reduce((sum, count) => sum + count, 0),
    entries,
    cards: cardsOf(parts),
    wrong: accounts.filter(({ balance, booked }) => balance !== openingBalance + booked).map(({ id }) => id),
  }
}

/** Each card as `id: accounts of its rows; accounts of its stamps`. */
function cardsOf(parts: readonly NodeState[]): readonly string[] {
  const cards = parts.flatMap((part) => part.cards)
  const stamps = parts.flatMap((part) => part.stamps)
  return Array.from({ length: cardCount }, (_, id) => {
    const rows = cards.filter((card) => card.id === id).map(({ account }) => account)
    const own = stamps.filter(({ card }) => card === id).map(({ account }) => account)
    const isWhole = rows.length === 1 && own.length === stampsOfCard && own.every((account) => account === rows[0])
    return isWhole ? 'whole' : `${id}: ${rows.join(', ')}; ${own.join(', ')}`
  })
}

export const wholeBalance = accountCount * openingBalance

interface NodeState {
  readonly accounts: readonly { readonly id: number; readonly balance: number; readonly booked: number }[]
  readonly entries: readonly { readonly transfer: string; readonly amount: number }[]
  readonly cards: readonly { readonly id: number; readonly account: number }[]
  readonly stamps: readonly { readonly card: number; readonly account: number }[]
}

async function onNode<T>(connectionString: string, read: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await read(client)
  } finally {
    await client.end()
  }
}

const countPrepared = (url: string): Promise<number> =>
  onNode(url, async (client) => {
    const own = 'SELECT count(*)::int AS n FROM pg_prepared_xacts WHERE database = current_database()'
    return (await client.query(own)).rows[0].n
  })

const readNode = (url: string): Promise<NodeState> =>
  onNode(url, async (client) => {
    const { rows: schemas } = await client.query(
      `SELECT schemaname AS name FROM pg_tables WHERE tablename = 'account' ORDER BY 1`,
    )
    const all = async <T>(select: (schema: string) => string): Promise<T[]> =>
      (await client.query(schemas.map(({ name }) => select(`"${name}"`)).join(' UNION ALL '))).rows
    return {
      accounts: await all(
        (schema) => `SELECT id, balance,
        (SELECT coalesce(sum(amount), 0)::int FROM ${schema}.entry WHERE account = id) AS booked FROM ${schema}.account`,
      ),
      entries: await all((schema) => `SELECT transfer, amount FROM ${schema}.entry`),
      cards: await all((schema) => `SELECT id, account FROM ${schema}.card`),
      stamps: await all((schema) => `SELECT "cardId" AS card, account FROM ${schema}.stamp`),
    }
  })
