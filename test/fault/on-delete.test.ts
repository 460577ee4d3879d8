import { Entity, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ControlPoint, custom, Sharded, ShardKey } from '../../src/index'
import { isWhole } from '../support/share-of'
import { Item, type OpenNodes, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

const byParity = custom({ shards: ['left', 'right'], shardOf: (id) => (BigInt(id) % 2n === 0n ? 'left' : 'right') })

@Entity()
@Sharded(byParity)
class Parcel {
  @ShardKey() @PrimaryColumn('int') id!: number
  @OneToMany(
    () => Mark,
    (mark) => mark.parcel,
    { cascade: ['remove'] },
  )
  marks!: Relation<Mark>[]
}

/** Lies on the other side than its parcel. */
@Entity()
@Sharded(byParity)
class Mark {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Parcel,
    (parcel) => parcel.marks,
    { onDelete: 'CASCADE' },
  )
  parcel!: Relation<Parcel>
}

const sides: readonly Side[] = ['left', 'right']
const points: readonly ControlPoint[] = [
  'on-delete:noted',
  'on-delete:done',
  'commit:after-prepare',
  'commit:after-decision',
]

/** Parcel 4 lies on the left, and mark 5, which refers to it, on the right. */
describe('a delete that goes on to another node', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const rows = async () => ({
    parcels: await open.query('left', 'SELECT id FROM parcel_left.parcel WHERE id = 4'),
    marks: await open.query('right', 'SELECT id FROM mark_right.mark WHERE id = 5'),
  })

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    const placement = { left: 'left', right: 'right' }
    open = await nodes.open({
      transactions: 'two-phase',
      entities: [Item, Parcel, Mark],
      groups: { item: { placement }, parcel: { placement }, mark: { placement } },
      onDelete: 'application',
    })
    await open.dataSource.manager.insert(Parcel, [{ id: 4 }, { id: 7 }])
    await open.dataSource.manager.insert(Mark, { id: 5, parcel: { id: 4 } })
  })
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  const ways = ['criteria', 'cascade'] as const
  const places = ways.flatMap((way) => points.flatMap((point) => sides.map((side) => ({ way, point, side }))))
  const tested = isWhole
    ? places
    : places.filter(({ way, point, side }) =>
        way === 'criteria' ? point.endsWith('noted') : point === 'commit:after-decision' && side === 'right',
      )

  it.each(tested)('by $way takes both rows or none when $side dies at $point', async ({ way, point, side }) => {
    const { manager } = open.dataSource
    const parcel = await manager.findOneOrFail(Parcel, { where: { id: 4 }, relations: { marks: true } })
    const end = open.dataSource.onControlPoint(async (reached) => {
      if (reached !== point) return
      end()
      await nodes.clusters[side].kill()
    })
    const outcome = await (way === 'criteria' ? manager.delete(Parcel, { id: 4 }) : manager.remove(parcel)).then(
      () => 'done',
      () => 'failed',
    )
    end()
    await nodes.clusters[side].restart()
    await until(async () => {
      await open.dataSource.recoverTransactions()
      const prepared = await Promise.all(sides.map((one) => open.query(one, 'SELECT gid FROM pg_prepared_xacts')))
      return prepared.flat().length === 0
    })
    const { parcels, marks } = await rows()
    expect(marks.length).toBe(parcels.length)
    if (outcome === 'done' || point === 'commit:after-decision') expect(parcels).toEqual([])
    if (point.startsWith('on-delete:') && way === 'criteria') expect(parcels.length).toBe(1)
    expect(parcel.id === 4).toBe(outcome !== 'done' || way === 'criteria')
    // Nothing is left behind that a later delete would meet.
    for (const one of sides)
      expect(await open.query(one, `SELECT FROM parcel_${one}.parcel_lookup_capture`)).toEqual([])
    await manager.delete(Parcel, { id: 4 })
    expect(await rows()).toEqual({ parcels: [], marks: [] })
    expect(await manager.countBy(Parcel, {})).toBe(1)
  })
})
