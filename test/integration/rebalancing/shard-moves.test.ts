import { afterEach, describe, expect, it } from 'vitest'
import { driveMove, finishMove, listMoves, revertMove, startMove } from '../../../src/rebalancing/shard-moves'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import {
  describeShard,
  type Layout,
  leftovers,
  type MovingWorld,
  openWorld,
  planMove,
  shardObjects,
} from './moving-shard'
import { startWriters } from './shard-writers'

const layouts: readonly Layout[] = ['schema', 'table']

describe.each(layouts)('a shard of the layout %s', (layout) => {
  let databases: FreshDatabases
  let world: MovingWorld
  const open = async (rows: number): Promise<void> => {
    databases = await createDatabases(2)
    world = await openWorld(databases.nodes, layout, rows)
  }
  afterEach(async () => {
    await world.close()
    await databases.drop()
  })

  it('moves with all that it has while it is written to', { timeout: 60_000 }, async () => {
    await open(20_000)
    const { host, warnings } = await world.process()
    const before = await describeShard(world, 'a', layout)
    const writers = startWriters(world, layout)
    const move = await planMove(host, world, layout)
    const switched = await driveMove(host, move.id)
    const atSwitch = writers.count()
    await expect.poll(() => writers.count(), { timeout: 5_000 }).toBeGreaterThan(atSwitch + 50)
    const { expected, found } = await writers.stop()
    console.log(
      layout,
      'writes',
      writers.count(),
      'longest gap',
      Math.round(writers.longestGap()),
      'ms; locked',
      switched.progress.pauseMs,
      'ms; tries',
      switched.progress.switchTries ?? 0,
      writers.errors(),
      switched.progress.tables,
    )
    expect(switched.state).toBe('switched')
    expect(warnings).toEqual([])
    expect(found).toEqual(expected)
    expect(Object.keys(writers.errors()).filter((code) => !['3F000', '42P01'].includes(code))).toEqual([])
    const withoutValues = (described: unknown): unknown =>
      JSON.parse(JSON.stringify(described).replace(/"last_value":[^,}]*/g, '"last_value":0'))
    expect(withoutValues(await describeShard(world, 'b', layout))).toEqual(withoutValues(before))
    expect(await leftovers(world, 'a')).toEqual([
      { what: `subscription sharding_move_${move.id}_back` },
      { what: `schema user_07__moved_${move.id}` },
    ])
    expect(await leftovers(world, 'b')).toEqual([
      { what: `slot sharding_move_${move.id}_back` },
      { what: `publication sharding_move_${move.id}_back` },
    ])
    expect((await finishMove(host, move.id)).state).toBe('done')
    for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
    expect(await shardObjects(world, 'a')).toEqual([])
    expect((await listMoves(host)).map(({ id, state }) => ({ id, state }))).toEqual([{ id: move.id, state: 'done' }])
  })

  it('leaves nothing that follows where no way back is wanted', { timeout: 60_000 }, async () => {
    await open(50)
    const { host } = await world.process()
    const { id } = await startMove(host, { ...world.request(layout), reverse: false })
    expect((await driveMove(host, id)).state).toBe('switched')
    expect(await leftovers(world, 'a')).toEqual([{ what: `schema user_07__moved_${id}` }])
    expect(await leftovers(world, 'b')).toEqual([])
    expect(await shardObjects(world, 'a')).toEqual([])
    await expect(revertMove(host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_STATE' })
    expect((await finishMove(host, id)).state).toBe('done')
    expect(await leftovers(world, 'a')).toEqual([])
  })

  it('moves where an earlier version has made the table of moves', { timeout: 60_000 }, async () => {
    await open(10)
    const { host } = await world.process()
    expect(await listMoves(host)).toEqual([])
    await world.sql(
      'a',
      `ALTER TABLE sharding.moves DROP COLUMN resharding; DROP INDEX sharding.moves_open;
       CREATE UNIQUE INDEX sharding_move_open ON sharding.moves (shard) WHERE state NOT IN ('done', 'cancelled')`,
    )
    const { id } = await planMove(host, world, layout)
    expect(await listMoves(host)).toMatchObject([{ id, state: 'planned' }])
  })
})
