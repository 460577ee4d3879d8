import { Any, Column, Entity, In, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedError, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Reading {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int')
  value!: number
}

/** More than fit on a stack as arguments, and than PostgreSQL takes as parameters. */
const many = Array.from({ length: 140_000 }, (_, index) => index)
const tooMany = { code: 'TOO_MANY_PARAMETERS', labels: ['no-writes'] }

describe('a list of more values than a statement has parameters', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      inAll: true,
      entities: [Reading],
      groups: ['reading'],
      seed: ({ manager }) =>
        manager.insert(
          Reading,
          many.slice(0, 50).map((id) => ({ id, value: id % 7 })),
        ) as never,
    })
  })
  afterAll(() => targets.close())

  it('is refused with a code, or answered where the list of keys is divided among the shards', async () => {
    for (const { dataSource, shards } of targets.sharded.slice(0, 2)) {
      const readings = dataSource.getRepository(Reading)
      const error: unknown = await readings.findBy({ value: In(many) }).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ShardedError)
      expect(error).toMatchObject(tooMany)
      const found = await readings.findBy({ id: In(many) }).then(
        (rows) => rows.length,
        (thrown: unknown) => thrown,
      )
      // A third of them fits into a statement.
      if (shards === 1) expect(found).toMatchObject(tooMany)
      else expect(found).toBe(50)
    }
  }, 120_000)

  it('is answered as one array, as on one database', async () => {
    for (const dataSource of [targets.plain, ...targets.sharded.map((one) => one.dataSource)]) {
      const readings = dataSource.getRepository(Reading)
      expect(await readings.countBy({ value: Any(many) })).toBe(50)
      expect(await readings.findBy({ id: Any(many) })).toHaveLength(50)
    }
  }, 120_000)
})
