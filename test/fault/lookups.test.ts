import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ControlPoint, custom, GlobalUnique, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { controlPoints } from '../../src/transactions/control-point'
import { type Cluster, startCluster } from '../support/cluster'
import { type FreshDatabases, freshDatabases } from '../support/fresh-databases'
import { shareOf } from '../support/share-of'
import { type Side, until } from './two-nodes'

/** Even ids lie on the node `left`, odd ones on `right`; the shards of the lookup on both. */
@Entity()
@Sharded(custom({ shards: ['left', 'right'], shardOf: (id) => (BigInt(id) % 2n === 0n ? 'left' : 'right') }))
class Member {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @GlobalUnique()
  @Column('varchar')
  email!: string
}

const sides: readonly Side[] = ['left', 'right']
/** Those that every commit meets before its outcome is told. */
const allPoints = controlPoints.filter((point) => point.startsWith('commit:') && !/undo|forget/.test(point))
/** The bank of `crash` meets every one. */
const points = shareOf(allPoints)

describe('lookups where a node dies at a commit', () => {
  let clusters: Readonly<Record<Side, Cluster>>
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const members = () => dataSource.getRepository(Member)

  beforeAll(async () => {
    const [left, right] = await Promise.all([startCluster({ name: 'left' }), startCluster({ name: 'right' })])
    clusters = { left, right }
    databases = await freshDatabases([left.url(), right.url()], 2)
    const [leftUrl = '', rightUrl = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Member],
      nodes: { left: { url: leftUrl }, right: { url: rightUrl } },
      groups: { member: { placement: { left: 'left', right: 'right' } } },
      transactions: 'two-phase',
      synchronize: true,
      poolErrorHandler: () => undefined,
    }).initialize()
  })
  afterAll(async () => {
    await dataSource?.destroy()
    await Promise.all([clusters.left.stop(), clusters.right.stop()])
  })

  const killAt = async (point: ControlPoint, side: Side, write: () => Promise<unknown>): Promise<void> => {
    let isReached = false
    const end = dataSource.onControlPoint(async (reached) => {
      if (reached !== point || isReached) return
      isReached = true
      await clusters[side].kill()
    })
    await write().catch(() => undefined)
    end()
    expect(isReached).toBe(true)
    await clusters[side].restart()
    await until(async () => {
      await dataSource.recoverTransactions()
      const open = await Promise.all(
        sides.map((one) => dataSource.shard(`member_${one}`).query('SELECT gid FROM pg_prepared_xacts')),
      )
      return open.flat().length === 0
    })
  }

  let next = 0
  const newMember = () => {
    next += 1
    return { id: next, email: `${next}@x` }
  }

  it.each(points.flatMap((point) => sides.map((side) => [point, side] as const)))(
    'have no half of an insert, an update and a delete: %s, %s',
    async (point, side) => {
      const there = Array.from({ length: 6 }, newMember)
      await members().insert(there)
      await killAt(point, side, () => members().insert(Array.from({ length: 6 }, newMember)))
      await killAt(point, side, () =>
        dataSource.query(`UPDATE member SET email = 'new ' || email WHERE id = ANY($1)`, [there.map(({ id }) => id)]),
      )
      await killAt(point, side, () => members().delete(there.map(({ id }) => id)))
      const [report] = await dataSource.verifyLookups()
      expect(report).toMatchObject({ missing: [], dangling: [], entries: await members().count() })
    },
    60_000,
  )
})
