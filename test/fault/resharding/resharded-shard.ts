import { slotOfKey } from '../../../src/functions/hash'
import { tableOn } from '../../../src/planning/bind-shard-names'
import type { MoveBounds } from '../../../src/rebalancing/move-host'
import type { ReshardedShard, Resharding } from '../../../src/rebalancing/resharding'
import type { ReshardingHost, RowRouter } from '../../../src/resharding/resharding-host'
import { tableAt } from '../../../src/resharding/resharding-move'
import { type GroupOwners, mergeOwners, type Reassigned, splitOwners } from '../../../src/topology/group-owners'
import { canonicalKey } from '../../../src/values/canonical-key'
import {
  type Layout,
  type MovingProcess,
  type MovingWorld,
  movedTables,
} from '../../integration/rebalancing/moving-shard'

export const whole: GroupOwners = { slots: [[0, '07']], keys: [], next: 8 }

/** The shard of all slots becomes one on each node. */
export const halves: Reassigned = splitOwners(whole, '07', [8_192, 8_192])

type Node = 'a' | 'b'

const shardAt = (world: MovingWorld, layout: Layout, label: string, node: Node): ReshardedShard => ({
  name: `user_${label}`,
  label,
  layout,
  database: world.identities[node],
})

export const splitOf = (world: MovingWorld, layout: Layout): Resharding => ({
  kind: 'split',
  sources: [shardAt(world, layout, '07', 'a')],
  targets: [shardAt(world, layout, '08', 'a'), shardAt(world, layout, '09', 'b')],
  tables: movedTables,
  before: whole,
  owners: halves.owners,
})

export const mergeOf = (world: MovingWorld, layout: Layout): Resharding => ({
  kind: 'merge',
  sources: splitOf(world, layout).targets,
  targets: [shardAt(world, layout, '10', 'b')],
  tables: movedTables,
  before: halves.owners,
  owners: mergeOwners(halves.owners, ['08', '09']).owners,
})

/** The half of a user. */
export const halfOf = (id: string): '08' | '09' =>
  slotOfKey([canonicalKey(id, 'integer') ?? '']) < 8_192 ? '08' : '09'

/** A line has its order's user for its key. */
const router: RowRouter = {
  shardKeySql: (table, shard) => {
    if (table === 'user') return 'ARRAY["sharding_row"."id"::text]'
    if (table === 'order') return 'ARRAY["sharding_row"."userId"::text]'
    const { schema, name } = tableAt('order', shard)
    return `(SELECT ARRAY[o."userId"::text] FROM "${schema}"."${name}" o WHERE o."id" = "sharding_row"."orderId")`
  },
  labelOf: (_, [id]) => halfOf(id ?? ''),
}

/** What a process that drives reshardings has, and how often it was asked to store one. */
export interface ReshardingProcess {
  readonly host: ReshardingHost
  readonly epochs: () => number
  readonly end: () => Promise<void>
}

export async function reshardingProcess(world: MovingWorld, bounds?: Partial<MoveBounds>): Promise<ReshardingProcess> {
  const { host, end }: MovingProcess = await world.process(bounds)
  let epochs = 0
  return {
    host: {
      ...host,
      router: () => router,
      commitEpoch: async () => {
        epochs += 1
      },
    },
    epochs: () => epochs,
    end,
  }
}

const nodeOf = (world: MovingWorld, { database }: ReshardedShard): Node => (database === world.identities.a ? 'a' : 'b')

/** All rows of a table on some shards, as texts, with the label of their shard. */
export async function rowsOn(
  world: MovingWorld,
  shards: readonly ReshardedShard[],
  table: string,
): Promise<readonly { readonly row: string; readonly label: string }[]> {
  const found = await Promise.all(
    shards.map(async (shard) => {
      const path = tableOn(table, { ...shard, group: 'user', index: 0, node: nodeOf(world, shard) })
      const rows = await world.sql<{ row: string }>(nodeOf(world, shard), `SELECT r::text AS row FROM ${path} r`)
      return rows.map(({ row }) => ({ row, label: shard.label }))
    }),
  )
  return found.flat().sort((one, other) => (one.row < other.row ? -1 : 1))
}

/** What a resharding has left on a node that is none of the shards: schemas, and triggers on tables. */
export async function leftBehind(world: MovingWorld, node: Node): Promise<readonly string[]> {
  const found = await world.sql<{ name: string }>(
    node,
    `SELECT nspname::text AS name FROM pg_namespace WHERE nspname LIKE 'sharding\\_split%' OR nspname LIKE '%\\_\\_moved\\_%'
     UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'sharding\\_split%'`,
  )
  return found.map(({ name }) => name)
}

/** The shards of a resharding that a node has something of. */
export async function shardsOn(world: MovingWorld, node: Node): Promise<readonly string[]> {
  const found = await world.sql<{ label: string }>(
    node,
    `SELECT DISTINCT coalesce(substring(n.nspname, '^user_([0-9]+)$'), substring(c.relname, '^(?:user|order|line)_([0-9]+)$')) AS label
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND (n.nspname ~ '^user_[0-9]+$' OR n.nspname = 'public' AND c.relname ~ '^(user|order|line)_[0-9]+$')
     ORDER BY 1`,
  )
  return found.map(({ label }) => label)
}

/** Writes to the users of a shard until it is gone, or they are told to stop. What is committed is known. */
export function startWriter(world: MovingWorld, shard: ReshardedShard) {
  const [user, order, line] = ['user', 'order', 'line'].map((table) =>
    tableOn(table, { ...shard, group: 'user', index: 0, node: nodeOf(world, shard) }),
  )
  let isOver = false
  const done = { increments: 0, orders: 0, users: 0 }
  const run = async (): Promise<typeof done> => {
    const client = await world.client(nodeOf(world, shard))
    for (let n = 0; !isOver; n++) {
      try {
        const id = 1 + (n % 100)
        if (n % 3 === 0) {
          await client.query(`UPDATE ${user} SET "n" = "n" + 1 WHERE "id" = $1`, [id])
          done.increments += 1
        } else if (n % 3 === 1) {
          await client.query(
            `WITH o AS (INSERT INTO ${order} ("userId", "status") VALUES ($1, 'it''s paid') RETURNING "id")
             INSERT INTO ${line} SELECT "id", 'new', 0.1 FROM o`,
            [id],
          )
          done.orders += 1
        } else if (n % 2 === 0) {
          await client.query(`INSERT INTO ${user} ("id", "name") VALUES ($1, 'more')`, [10_000 + n])
          done.users += 1
        } else await client.query(`DELETE FROM ${line} WHERE "no" = 'new' AND "orderId" % 2 = 0`)
      } catch (error) {
        // Its shard is gone, or the server that it is on was told to end the session.
        const { code = '' } = error as { code?: string }
        if (/^(42P01|3F000|57P01)$/.test(code)) break
        // A user of the other half.
        if (code !== '23503') throw error
      }
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    return done
  }
  const running = run()
  running.catch(() => undefined)
  return {
    stop: (): Promise<typeof done> => {
      isOver = true
      return running
    },
    /** The shard is gone. */
    ended: running,
  }
}
