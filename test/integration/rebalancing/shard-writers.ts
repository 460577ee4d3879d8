import { Client, DatabaseError } from 'pg'
import { tableOn } from '../../../src/planning/bind-shard-names'
import { type Layout, type MovingWorld, shardOf } from './moving-shard'

/** Clients that write to a shard all the time, as the oracle of what must be there in the end. */
export interface ShardWriters {
  /** Milliseconds between two writes of one writer, the longest. */
  readonly longestGap: () => number
  readonly gaps: () => readonly number[]
  readonly count: () => number
  readonly errors: () => Readonly<Record<string, number>>
  /** What is at the shard's place of now. */
  readonly found: () => Promise<WrittenRows>
  /** Ends the writers, and compares what they were told was committed with what is there. */
  stop(): Promise<{ readonly expected: WrittenRows; readonly found: WrittenRows }>
}

/** What one writer has had acknowledged: the sum of its changes, and the ids of the orders that it has made and not deleted. */
export interface WrittenRows {
  readonly changes: number
  readonly orders: readonly number[]
}

/** A process with the old map finds no table or no schema: it reads the map and repeats. */
const isMoved = (error: unknown): boolean =>
  error instanceof DatabaseError && ['3F000', '42P01'].includes(error.code ?? '')

/** A server that was killed: whether the last write is there is then looked up. */
const isLost = (error: unknown): boolean => !(error instanceof DatabaseError) || /^(?:57P|08)/.test(error.code ?? '')

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** First of the ids that writers give to orders: identities are below. */
const firstId = 1_000_000

/** Starts writers: updates, inserts and deletes, and transactions over two tables. */
export function startWriters(
  world: MovingWorld,
  layout: Layout,
  { writers = 3, users = 500, everyMs = 0 } = {},
): ShardWriters {
  const shard = shardOf(layout)
  const [user, order, line] = ['user', 'order', 'line'].map((table) => tableOn(table, shard))
  const errors: Record<string, number> = {}
  const gaps: number[] = []
  let isOver = false
  let changes = 0
  let count = 0
  const orders = new Set<number>()
  let nextId = firstId

  const write = async (client: Client, id: number, isInsert: boolean): Promise<void> => {
    const owner = 1 + (id % users)
    await client.query('BEGIN')
    await client.query(`UPDATE ${user} SET "n" = "n" + 1 WHERE "id" = $1`, [owner])
    if (isInsert) {
      await client.query(`INSERT INTO ${order} ("id", "userId", "total") VALUES ($1, $2, 5)`, [id, owner])
      await client.query(`INSERT INTO ${line} VALUES ($1, 'x', 1.5)`, [id])
    } else await client.query(`DELETE FROM ${order} WHERE "id" = $1`, [id])
    await client.query('COMMIT')
  }
  const isThere = async (client: Client, id: number): Promise<boolean> =>
    (await client.query(`SELECT FROM ${order} WHERE "id" = $1`, [id])).rows.length > 0

  const loop = async (): Promise<void> => {
    let client: Client | undefined
    let connected: 'a' | 'b' | undefined
    let last = performance.now()
    const mine: number[] = []
    let doubtful: { readonly id: number; readonly isInsert: boolean } | undefined
    while (!isOver || doubtful) {
      const isInsert = mine.length < 20 || Math.random() < 0.5
      const work = doubtful ?? { id: isInsert ? nextId++ : (mine.shift() ?? 0), isInsert }
      let isCommitted = false
      try {
        if (!client || connected !== world.place) {
          await client?.end().catch(() => undefined)
          connected = world.place
          client = await connect(world.urls[connected])
        }
        // Asked at the shard's place of now: a write that was in doubt is there or is not.
        if (doubtful) isCommitted = (await isThere(client, work.id)) === work.isInsert
        if (!isCommitted) await write(client, work.id, work.isInsert)
        isCommitted = true
      } catch (error) {
        const code = error instanceof DatabaseError ? (error.code ?? '') : 'lost'
        errors[code] = (errors[code] ?? 0) + 1
        doubtful = work
        if (!isMoved(error) && !isLost(error)) await client?.query('ROLLBACK').catch(() => undefined)
        else {
          await client?.end().catch(() => undefined)
          client = undefined
          await pause(2)
        }
        if (!isMoved(error) && !isLost(error)) throw error
      }
      if (!isCommitted) continue
      doubtful = undefined
      changes += 1
      count += 1
      if (work.isInsert) {
        orders.add(work.id)
        mine.push(work.id)
      } else orders.delete(work.id)
      gaps.push(performance.now() - last)
      last = performance.now()
      if (everyMs > 0) await pause(everyMs)
    }
    await client?.end()
  }
  const loops = Array.from({ length: writers }, loop)
  const all = Promise.all(loops)
  all.catch(() => undefined)
  const found = async (): Promise<WrittenRows> => {
    const [sum] = await world.sql<{ n: number }>(world.place, `SELECT sum("n")::int AS n FROM ${user}`)
    const ids = await world.sql<{ id: number }>(
      world.place,
      `SELECT "id" FROM ${order} o WHERE "id" >= ${firstId} AND EXISTS (SELECT FROM ${line} WHERE "orderId" = o."id") ORDER BY 1`,
    )
    return { changes: sum?.n ?? 0, orders: ids.map(({ id }) => id) }
  }
  return {
    longestGap: () => gaps.reduce((most, gap) => Math.max(most, gap), 0),
    gaps: () => gaps,
    count: () => count,
    errors: () => errors,
    found,
    stop: async () => {
      isOver = true
      await all
      return { expected: { changes, orders: [...orders].sort((x, y) => x - y) }, found: await found() }
    },
  }
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 3_000 })
  client.on('error', () => undefined)
  await client.connect()
  return client
}
