import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { loadHash } from '../../../src/functions/hash'
import type { Resharding } from '../../../src/rebalancing/resharding'
import { readMove } from '../../../src/rebalancing/shard-moves'
import {
  cancelResharding,
  driveResharding,
  finishResharding,
  startResharding,
} from '../../../src/resharding/reshardings'
import { type ReshardingControlPoint, reshardingControlPoints } from '../../../src/transactions/control-point'
import { type Layout, type MovingWorld, openWorld } from '../../integration/rebalancing/moving-shard'
import { createDatabases } from '../../support/databases'
import { dieAt, stopAt } from '../../support/dying-driver'
import type { FreshDatabases } from '../../support/fresh-databases'
import { nightlyShareOf } from '../../support/share-of'
import {
  halfOf,
  leftBehind,
  mergeOf,
  type ReshardingProcess,
  reshardingProcess,
  rowsOn,
  shardsOn,
  splitOf,
  startWriter,
} from './resharded-shard'

const rows = 300

/** Points that a resharding which nothing disturbs does not come to. */
const others = /settle|rename-rest|remove-targets|capture-removed|finish|-drain$/
const onTheWay = reshardingControlPoints.filter((point) => !others.test(point))
const beforeSwitch = onTheWay
  .filter(
    (point) =>
      onTheWay.indexOf(point) < onTheWay.indexOf('resharding:before-switch') || point === 'resharding:chunk-copied',
  )
  .filter((point) => !/complete|commit-epoch|clean-up/.test(point))

describe('drivers of a resharding', () => {
  let databases: FreshDatabases
  let world: MovingWorld
  const layoutOf = (point: string): Layout =>
    reshardingControlPoints.indexOf(point as ReshardingControlPoint) % 4 < 2 ? 'schema' : 'table'
  const open = async (layout: Layout): Promise<void> => {
    databases = await createDatabases(2)
    world = await openWorld(databases.nodes, layout, rows)
  }
  beforeAll(loadHash)
  afterEach(async () => {
    await world.close()
    await databases.drop()
  })

  const plan = (host: ReshardingProcess['host'], resharding: Resharding) =>
    startResharding(host, { group: 'user', resharding })

  /** The end of what somebody does until nobody else does it any more. */
  const endOf = (work: () => Promise<{ readonly state: string }>) =>
    expect.poll(
      () =>
        work().then(
          ({ state }) => state,
          (error: { code?: string }) => error.code,
        ),
      { timeout: 25_000, interval: 200 },
    )

  /** All rows are there, each on its half, with all that was committed. */
  const checkHalves = async (
    resharding: Resharding,
    done: Awaited<ReturnType<ReturnType<typeof startWriter>['stop']>>,
  ) => {
    const [users, orders, lines] = await Promise.all(
      ['user', 'order', 'line'].map((table) => rowsOn(world, resharding.targets, table)),
    )
    expect(users).toHaveLength(rows + done.users)
    expect(orders).toHaveLength(rows + done.orders)
    const idOf = (row: string): string => /^\((\d+)/.exec(row)?.[1] ?? ''
    for (const { row, label } of users ?? []) expect(label).toBe(halfOf(idOf(row)))
    const ofOrder = new Map((orders ?? []).map(({ row, label }) => [idOf(row), label]))
    for (const { row, label } of orders ?? []) expect(label).toBe(halfOf(/^\(\d+,\d+,(\d+)/.exec(row)?.[1] ?? ''))
    for (const { row, label } of lines ?? []) expect(label).toBe(ofOrder.get(idOf(row)))
    const increments = (users ?? []).reduce((sum, { row }) => sum + Number(row.split(',')[3]), 0)
    expect(increments).toBe(done.increments)
  }

  it.each(nightlyShareOf(onTheWay, 'SHARD_SPLITS'))(
    'that die at %s are followed by others',
    { timeout: 60_000 },
    async (point) => {
      const layout = layoutOf(point)
      await open(layout)
      const split = splitOf(world, layout)
      const [first, next] = [await reshardingProcess(world), await reshardingProcess(world)]
      const { id } = await plan(first.host, split)
      const [source] = split.sources
      if (!source) throw new Error('A split has a source.')
      const writer = startWriter(world, source)
      await dieAt(first, point, () => driveResharding(first.host, id))
      await endOf(() => driveResharding(next.host, id)).toBe('switched')
      await checkHalves(split, await writer.ended)
      // What a user of the new shard writes is as it was: triggers, identities and foreign keys are there.
      const { memory } = await readMove(next.host, id)
      for (const { label } of split.targets) expect(memory.structures?.[label]?.length).toBeGreaterThan(30)
      expect((await finishResharding(next.host, id)).state).toBe('done')
      for (const node of ['a', 'b'] as const) expect(await leftBehind(world, node)).toEqual([])
      expect([await shardsOn(world, 'a'), await shardsOn(world, 'b')]).toEqual([['08'], ['09']])
    },
  )

  it.each(nightlyShareOf(beforeSwitch, 'SHARD_SPLITS'))(
    'leave nothing behind where the resharding is cancelled at %s',
    { timeout: 60_000 },
    async (point) => {
      const layout = layoutOf(point)
      await open(layout)
      const split = splitOf(world, layout)
      const before = await rowsOn(world, split.sources, 'order')
      const [first, second] = [await reshardingProcess(world), await reshardingProcess(world)]
      const { id } = await plan(first.host, split)
      const { reached, goOn } = stopAt(first, point)
      const driving = driveResharding(first.host, id).then(
        () => 'switched',
        (error: { code?: string }) => error.code,
      )
      await reached
      expect((await cancelResharding(second.host, id)).state).toBe('cancelled')
      goOn()
      expect(await driving).toBe('SHARD_MOVE_TAKEN')
      for (const node of ['a', 'b'] as const) expect(await leftBehind(world, node)).toEqual([])
      expect([await shardsOn(world, 'a'), await shardsOn(world, 'b')]).toEqual([['07'], []])
      expect(await rowsOn(world, split.sources, 'order')).toEqual(before)
    },
  )

  it.each(['schema', 'table'] as const)(
    'that die between the ends of two shards that are merged, in the layout %s, are followed by others',
    { timeout: 60_000 },
    async (layout) => {
      await open(layout)
      const [first, second, third] = [
        await reshardingProcess(world),
        await reshardingProcess(world),
        await reshardingProcess(world),
      ]
      const whole = { users: await rowsOn(world, splitOf(world, layout).sources, 'user') }
      const split = await plan(first.host, splitOf(world, layout))
      await driveResharding(first.host, split.id)
      await finishResharding(first.host, split.id)
      const merge = mergeOf(world, layout)
      const { id } = await plan(second.host, merge)
      await dieAt(second, 'resharding:after-rename', () => driveResharding(second.host, id))
      // The shard that is still there is written to.
      const [, rest] = merge.sources
      if (!rest) throw new Error('A merge has two sources.')
      const writer = startWriter(world, rest)
      await endOf(() => driveResharding(third.host, id)).toBe('switched')
      const { users } = await writer.ended
      expect(await rowsOn(world, merge.targets, 'user')).toHaveLength(whole.users.length + users)
      await finishResharding(third.host, id)
      for (const node of ['a', 'b'] as const) expect(await leftBehind(world, node)).toEqual([])
      expect([await shardsOn(world, 'a'), await shardsOn(world, 'b')]).toEqual([[], ['10']])
    },
  )

  it.each(['resharding:before-rename', 'resharding:after-switching'] as const)(
    'that die at %s with the locks are known to have renamed nothing',
    { timeout: 60_000 },
    async (point) => {
      await open('schema')
      const [first, second] = [await reshardingProcess(world), await reshardingProcess(world)]
      const { id } = await plan(first.host, splitOf(world, 'schema'))
      await dieAt(first, point, () => driveResharding(first.host, id))
      await endOf(() => cancelResharding(second.host, id)).toBe('cancelled')
      expect([await shardsOn(world, 'a'), await shardsOn(world, 'b')]).toEqual([['07'], []])
    },
  )

  it('let each sequence go on where it was, whatever the label of its shard spells', { timeout: 60_000 }, async () => {
    await open('table')
    await world.sql('a', 'ALTER TABLE line_07 ADD "no07" serial, ADD "no1" serial')
    await world.sql('a', `SELECT setval('line_07_no07_seq', 7000), setval('line_07_no1_seq', 1000)`)
    const process = await reshardingProcess(world)
    const { id } = await plan(process.host, splitOf(world, 'table'))
    expect((await driveResharding(process.host, id)).state).toBe('switched')
    for (const [node, label] of [
      ['a', '08'],
      ['b', '09'],
    ] as const)
      expect(
        await world.sql(
          node,
          `SELECT (SELECT last_value::int FROM line_${label}_no07_seq) AS "no07", (SELECT last_value::int FROM line_${label}_no1_seq) AS "no1"`,
        ),
      ).toEqual([{ no07: 7000, no1: 1000 }])
  })
})
