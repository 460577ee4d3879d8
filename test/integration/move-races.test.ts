import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** Moves by any write. */
@Entity()
@Sharded(hash({ shards: 4 }), { onKeyChange: 'move' })
class Parcel {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  depot!: number

  @Column('int', { default: 0 })
  scans!: number
}

/** Moves by `move` only. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Pallet {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  depot!: number

  @Column('int', { default: 0 })
  scans!: number
}

let databases: FreshDatabases
let dataSource: ShardedDataSource

beforeAll(async () => {
  databases = await createDatabases(2)
  dataSource = new ShardedDataSource({
    type: 'postgres',
    entities: [Parcel, Pallet],
    nodes: {
      a: { url: databases.nodes[0] ?? '', poolSize: 20 },
      b: { url: databases.nodes[1] ?? '', poolSize: 20 },
    },
  })
  await dataSource.initialize()
  await dataSource.synchronize()
})
afterAll(async () => {
  await dataSource.destroy()
  await databases.drop()
})
beforeEach(async () => {
  await dataSource.getRepository(Parcel).deleteAll()
  await dataSource.getRepository(Pallet).deleteAll()
})

const codes = new Set(['ROW_MOVED', 'DUPLICATE_PRIMARY_KEY', 'EntityNotFoundError', '40P01'])
const codeOf = (error: unknown): string => {
  const { code, name, driverError } = error as { code?: string; name: string; driverError?: { code: string } }
  return code ?? driverError?.code ?? name
}

describe.each([Parcel, Pallet])('%s that moves', (Class) => {
  const rows = () => dataSource.getRepository(Class)

  it('is one row, whoever moves, updates, saves and deletes it at once', async () => {
    for (let round = 0; round < 15; round++) {
      const id = round + 1
      await rows().insert({ id, depot: 1 })
      const stale = await rows().findOneByOrFail({ id })
      const load = () => rows().findOneByOrFail({ id })
      const [one, two, three] = [await load(), await load(), await load()]
      const isDeleted = round % 3 === 0
      const outcomes = await Promise.allSettled([
        rows().move(one, 2 + (round % 7)),
        rows().move(two, 3 + (round % 5)),
        rows().update({ id }, { scans: 5 }),
        rows().save(Object.assign(three, { scans: 7 })),
        ...(isDeleted ? [rows().delete({ id })] : []),
      ])
      for (const outcome of outcomes)
        if (outcome.status === 'rejected' && !codes.has(codeOf(outcome.reason))) throw outcome.reason
      const found = await rows().findBy({ id })
      expect(found.length).toBeLessThanOrEqual(1)
      if (!isDeleted) expect(found).toHaveLength(1)
      // A row stands where its key says, and nowhere else.
      for (const { depot } of found) expect(await rows().findBy({ id, depot })).toHaveLength(1)
      await rows()
        .save(Object.assign(stale, { scans: 9 }))
        .catch((error: unknown) => expect(codes).toContain(codeOf(error)))
      expect((await rows().findBy({ id })).length).toBeLessThanOrEqual(1)
    }
  })

  it('refuses a stale entity rather than make a second row', async () => {
    await rows().insert({ id: 1, depot: 1 })
    const stale = await rows().findOneByOrFail({ id: 1 })
    const place = (depot: number) => dataSource.locate(Class, depot).shard
    const far = [2, 3, 4, 5, 6, 7].find((depot) => place(depot) !== place(1)) ?? 0
    await rows().move(await rows().findOneByOrFail({ id: 1 }), far)
    stale.scans = 1
    await expect(rows().save(stale)).rejects.toMatchObject({ code: 'ROW_MOVED' })
    await expect(dataSource.transaction((manager) => manager.save(stale))).rejects.toMatchObject({ code: 'ROW_MOVED' })
    expect(await rows().find()).toEqual([expect.objectContaining({ id: 1, depot: far, scans: 0 })])
  })
})

it('waits for the update of a row before it moves', async () => {
  const parcels = dataSource.getRepository(Parcel)
  await parcels.insert({ id: 1, depot: 1 })
  const parcel = await parcels.findOneByOrFail({ id: 1 })
  let moving: Promise<unknown> = Promise.resolve()
  await dataSource.transaction(async (manager) => {
    await manager.update(Parcel, { id: 1, depot: 1 }, { scans: 3 })
    moving = parcels.move(parcel, 5)
    await new Promise((resolve) => setTimeout(resolve, 100))
  })
  await moving
  expect(await parcels.find()).toEqual([expect.objectContaining({ id: 1, depot: 5, scans: 3 })])
})

it('loses no update of a row that moves while it is saved', async () => {
  const parcels = dataSource.getRepository(Parcel)
  await parcels.insert({ id: 1, depot: 1 })
  const place = (depot: number) => dataSource.locate(Parcel, depot).shard
  const far = [2, 3, 4, 5, 6, 7].find((depot) => place(depot) !== place(1)) ?? 0
  const stale = await parcels.findOneByOrFail({ id: 1 })
  let saving: Promise<unknown> = Promise.resolve()
  await dataSource.transaction(async (manager) => {
    await manager.getRepository(Parcel).update({ id: 1 }, { depot: far })
    // It loads the row as it was, and waits for the lock.
    saving = parcels.save(Object.assign(stale, { scans: 8 })).catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, 150))
  })
  expect(await saving).toMatchObject({ code: 'ROW_MOVED' })
  expect(await parcels.find()).toEqual([expect.objectContaining({ id: 1, depot: far, scans: 0 })])
})
