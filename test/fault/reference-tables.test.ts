import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ControlPoint, ReferenceTable } from '../../src/index'
import { isWhole } from '../support/share-of'
import { Item, type OpenNodes, Setting, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

@Entity()
@ReferenceTable()
class Role {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

const sides: readonly Side[] = ['left', 'right']
const points: readonly ControlPoint[] = [
  'reference:locked',
  'reference:noted',
  'reference:applied',
  'commit:after-prepare',
  'commit:after-decision',
]

describe('a write of a reference table', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const roles = () => open.dataSource.getRepository(Role)
  const copies = () => Promise.all(sides.map((side) => open.query(side, 'SELECT id, name FROM role ORDER BY id')))

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open({ transactions: 'two-phase', entities: [Item, Setting, Role] })
    await roles().insert({ id: 0, name: 'none' })
  })
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  const places = points.flatMap((point) => sides.map((side) => ({ point, side })))
  const tested = isWhole ? places : places.filter(({ point }) => /noted|after-decision/.test(point))

  it.each(tested)('is on all nodes or on none when $side dies at $point', async ({ point, side }) => {
    const end = open.dataSource.onControlPoint(async (reached) => {
      if (reached !== point) return
      end()
      await nodes.clusters[side].kill()
    })
    const outcome = await open.dataSource
      .transaction(async (manager) => {
        await manager.insert(Role, { id: 1, name: 'one' })
        await manager.updateAll(Item, { value: 1 })
        await manager.delete(Role, 0)
      })
      .then(
        () => 'committed',
        () => 'failed',
      )
    await nodes.clusters[side].restart()
    await until(async () => {
      await open.dataSource.recoverTransactions()
      const prepared = await Promise.all(sides.map((one) => open.query(one, 'SELECT gid FROM pg_prepared_xacts')))
      return prepared.flat().length === 0
    })
    const [left, right] = await copies()
    expect(left).toEqual(right)
    const isWritten = left?.some(({ name }) => name === 'one')
    expect(left).toEqual([isWritten ? { id: 1, name: 'one' } : { id: 0, name: 'none' }])
    expect(await open.values('left')).toEqual(Array(5).fill(isWritten ? 1 : 0))
    if (outcome === 'committed' || point === 'commit:after-decision') expect(isWritten).toBe(true)
    // The other node is asked nothing before rows were noted.
    if (point.startsWith('reference:') && (side === 'left' || point !== 'reference:locked'))
      expect(isWritten).toBe(false)
    // Nothing is left behind that a later write would meet.
    expect((await open.dataSource.verifyReferenceTables()).every(({ equal }) => equal)).toBe(true)
    await roles().insert({ id: 2, name: 'two' })
    expect((await copies()).map((rows) => rows.length)).toEqual([2, 2])
    for (const one of sides) expect(await open.query(one, 'SELECT FROM sharding_reference_note')).toEqual([])
  })
})
