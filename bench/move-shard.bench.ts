import { pipeline } from 'node:stream/promises'
import { Client, DatabaseError } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { createIdentity } from '../src/catalog/node-catalog'
import { NodePool } from '../src/endpoints/node-pool'
import type { MoveHost } from '../src/rebalancing/move-host'
import { driveMove, finishMove, startMove } from '../src/rebalancing/shard-moves'
import { ControlPoints } from '../src/transactions/control-point'
import type { Bench } from './support/bench'
import { medianOf, spreadOf } from './support/statistics'

const sizes = {
  full: { rows: 1_000_000, rounds: 5, clients: 8, writesPerSecond: 2_000 },
  quick: { rows: 200_000, rounds: 2, clients: 8, writesPerSecond: 2_000 },
  tiny: { rows: 500, rounds: 1, clients: 2, writesPerSecond: 100 },
}

type Side = 'a' | 'b'
const other = (side: Side): Side => (side === 'a' ? 'b' : 'a')

const shard = { name: 'user_07', group: 'user', label: '07', layout: 'schema' } as const
const table = '"user_07"."user"'

const connect = async (connectionString: string): Promise<Client> => {
  const client = new Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Two nodes, and where the shard is. */
interface World {
  readonly urls: Readonly<Record<Side, string>>
  place: Side
}

/** Writers in a fixed rhythm, each with its own rows; a write that finds no table is repeated at the shard's place of then. */
function startWriters(world: World, { rows, clients, writesPerSecond }: (typeof sizes)['full']) {
  let isOver = false
  let waits: number[] = []
  const write = async (open: Map<Side, Client>, id: number): Promise<void> => {
    for (;;) {
      const { place } = world
      const client = open.get(place) ?? (await connect(world.urls[place]))
      open.set(place, client)
      try {
        await client.query({ name: 'write', text: `UPDATE ${table} SET "n" = "n" + 1 WHERE "id" = $1`, values: [id] })
        return
      } catch (error) {
        if (!(error instanceof DatabaseError) || !['42P01', '3F000'].includes(error.code ?? '')) throw error
        await pause(1)
      }
    }
  }
  const loop = async (index: number): Promise<void> => {
    const open = new Map<Side, Client>()
    const everyMs = (1_000 * clients) / writesPerSecond
    let due = performance.now()
    for (let count = 0; !isOver; count++) {
      const begun = performance.now()
      await write(open, 1 + ((index + count * 7919 * clients) % rows))
      waits.push(performance.now() - begun)
      due = Math.max(due + everyMs, performance.now() - 50)
      if (due > performance.now()) await pause(due - performance.now())
    }
    await Promise.all([...open.values()].map((client) => client.end()))
  }
  const loops = Promise.all(Array.from({ length: clients }, (_, index) => loop(index)))
  return {
    /** Milliseconds of each write since this was called before. */
    take: (): readonly number[] => {
      const taken = waits
      waits = []
      return taken
    },
    stop: async (): Promise<void> => {
      isOver = true
      await loops
    },
  }
}

/** All rows through one connection of each side, as fast as both do it. */
async function bareCopy(world: World): Promise<number> {
  const [source, target] = [await connect(world.urls[world.place]), await connect(world.urls[other(world.place)])]
  await target.query('CREATE TABLE public."copied" ("id" bigint PRIMARY KEY, "name" text, "n" int)')
  const begun = performance.now()
  await pipeline(
    source.query(copyTo(`COPY ${table} TO STDOUT`)),
    target.query(copyFrom('COPY public."copied" FROM STDIN')),
  )
  const elapsed = performance.now() - begun
  await target.query('DROP TABLE public."copied"')
  await Promise.all([source.end(), target.end()])
  return elapsed
}

async function openHost(
  world: World,
): Promise<{ readonly host: MoveHost; readonly close: () => Promise<void> } & Identities> {
  const open = async (name: Side): Promise<NodePool> => {
    const pool = new NodePool({
      name,
      pool: { connectionString: world.urls[name], max: 8 },
      maxPrepared: 0,
      onPoolError: () => undefined,
    })
    await pool.loadFacts()
    await createIdentity(pool)
    return pool
  }
  const pools = { a: await open('a'), b: await open('b') }
  const identityOf = async (side: Side): Promise<string> =>
    (await pools[side].query('SELECT id FROM sharding.nodes')).rows[0]?.['id']
  const identities = { a: await identityOf('a'), b: await identityOf('b') }
  const sideOf = (identity: string): Side => (identity === identities.a ? 'a' : 'b')
  const host: MoveHost = {
    home: pools.a,
    node: (identity) => pools[sideOf(identity)],
    replicationUrl: (identity) => world.urls[sideOf(identity)],
    points: new ControlPoints(() => undefined),
    warn: (text) => console.warn(text),
    commitEpoch: async ({ to }) => {
      world.place = sideOf(to)
    },
  }
  return { host, identities, close: async () => void (await Promise.all([pools.a.end(), pools.b.end()])) }
}

interface Identities {
  readonly identities: Readonly<Record<Side, string>>
}

/** A shard that moves to and fro under writes: how long its writers wait, and how fast its rows are copied. */
export const moveShard: Bench = {
  name: 'move-shard',
  async run({ scale, databases }) {
    const size = sizes[scale]
    const [a = '', b = ''] = databases.nodes
    const world: World = { urls: { a, b }, place: 'a' }
    const admin = await connect(a)
    await admin.query(
      `CREATE SCHEMA "user_07"; CREATE TABLE ${table} ("id" bigint PRIMARY KEY, "name" text, "n" int NOT NULL DEFAULT 0)`,
    )
    await admin.query(
      `INSERT INTO ${table} SELECT i, repeat('name ' || i, 8), 0 FROM generate_series(1, ${size.rows}) i`,
    )
    await admin.end()
    const { host, identities, close } = await openHost(world)
    const marks = new Map<string, number>()
    host.points.listen((point) => void marks.set(point, performance.now()))
    const sinceMark = (from: string, to: string): number => (marks.get(to) ?? 0) - (marks.get(from) ?? 0)
    const rounds: {
      bare: number
      copied: number
      moved: number
      locked: number
      p99: number
      longest: number
      writes: number
    }[] = []
    for (let round = 0; round < size.rounds; round++) {
      const bare = await bareCopy(world)
      const writers = startWriters(world, size)
      const begun = performance.now()
      const { id } = await startMove(host, {
        shard,
        tables: ['user'],
        from: identities[world.place],
        to: identities[other(world.place)],
      })
      const { progress } = await driveMove(host, id)
      const moved = performance.now() - begun
      const waits = [...writers.take()].sort((x, y) => x - y)
      await writers.stop()
      await finishMove(host, id)
      rounds.push({
        bare,
        copied: sinceMark('shard-move:before-enable', 'shard-move:after-await-copy'),
        moved,
        locked: progress.pauseMs ?? 0,
        p99: waits[Math.floor(waits.length * 0.99)] ?? 0,
        longest: waits.at(-1) ?? 0,
        writes: (waits.length / moved) * 1_000,
      })
    }
    await close()
    const of = (figure: keyof (typeof rounds)[number]): number => medianOf(rounds.map((one) => one[figure]))
    const name = `move of a shard of ${size.rows} rows under ${size.writesPerSecond} writes a second`
    return [
      {
        name: `${name}: longest wait of a write`,
        unit: 'ms',
        ...spreadOf(rounds.map(({ longest }) => longest)),
        detail: `locked for ${of('locked').toFixed(0)} ms; p99 of all writes ${of('p99').toFixed(1)} ms; ${of('writes').toFixed(0)} writes a second; all of it ${(of('moved') / 1_000).toFixed(1)} s`,
        target: { atMost: 500 },
      },
      {
        name: `${name}: copy, against COPY alone without writes`,
        unit: '× throughput',
        ...spreadOf(rounds.map(({ bare, copied }) => bare / copied)),
        detail: `${(of('copied') / 1_000).toFixed(2)} s, ${(of('bare') / 1_000).toFixed(2)} s`,
        target: { atLeast: 0.5 },
      },
    ]
  },
}
