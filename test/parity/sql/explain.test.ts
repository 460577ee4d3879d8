import { describe, expect, it } from 'vitest'
import type { ShardedDataSource } from '../../../src/index'
import { openSides } from './sides'
import { Acct, Ord } from './world'

describe('the explanation of a query over shards', () => {
  const sides = openSides()
  const builders = (dataSource: ShardedDataSource) => [
    dataSource.getRepository(Ord).createQueryBuilder('o').where("o.created > now() - interval '1 day'"),
    dataSource.getRepository(Ord).createQueryBuilder('o').where('o.k = 5 AND o.created < now()'),
    dataSource.getRepository(Ord).createQueryBuilder('o').select('current_user', 'u').addSelect('count(*)', 'n'),
    dataSource
      .getRepository(Acct)
      .createQueryBuilder('a')
      .where('a.name <> current_database() AND a.k IN (:...ks)', { ks: [1, 2] }),
  ]

  it('is given of what runs: what is asked once is a value in it', async () => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      for (const builder of builders(dataSource as ShardedDataSource)) {
        await builder.clone().getRawMany()
        const { statements } = await builder.clone().explain()
        expect({ name, statements }).not.toEqual({ name, statements: [] })
        if (statements.length > 1)
          for (const { text } of statements) expect(text).not.toMatch(/now\(\)|current_user|current_database/i)
      }
    }
  })
})
