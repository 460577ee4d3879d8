import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import type { ShardedDataSource } from '../../../src/index'
import type { Explanation } from '../../../src/planning/explain-plan'
import type { ShardedQueryRunner } from '../../../src/typeorm/operations/sharded-query-runner'
import { openSides } from './sides'
import { Acct, Ord } from './world'

async function explained(dataSource: DataSource, text: string): Promise<Explanation> {
  const runner = dataSource.createQueryRunner() as ShardedQueryRunner
  try {
    return await runner.explain(text)
  } finally {
    await runner.release()
  }
}

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

  it('says of a set operation that one node puts its sides together, whatever they are', async () => {
    const texts = [
      'SELECT o.id FROM ord o JOIN memo m ON m.qty = o.qty UNION SELECT m FROM memo ORDER BY 1',
      'SELECT m FROM memo UNION ALL SELECT o.id FROM ord o JOIN memo m ON m.qty = o.qty LIMIT 3',
      'WITH x AS (SELECT id FROM ord) SELECT id FROM x EXCEPT SELECT id FROM ref',
      '(SELECT id FROM ord UNION SELECT k FROM acct ORDER BY 1 LIMIT 3) UNION SELECT m FROM memo',
    ]
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      const last = `let node ${(dataSource.options as { home?: string }).home ?? 'n0'} put the parts together`
      for (const text of texts) {
        const { statements, steps } = await explained(dataSource, text)
        expect({ name, text, step: steps.at(-1) }).toEqual({ name, text, step: last })
        expect(statements.length).toBeGreaterThan(1)
      }
    }
  })

  it('says of a write what is read of other tables, and that its own shards do the rest', async () => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      const text = 'UPDATE ord o SET status = m.note FROM memo m, ref r WHERE m.m = o.qty AND r.id = m.qty AND o.k = 3'
      const { reason, steps, statements, shards: reached } = await explained(dataSource, text)
      const { shard } = (dataSource as ShardedDataSource).locate(Acct, 3)
      expect({ name, reason }).toEqual({
        name,
        reason: `the rows of other tables are sent to its shards; the condition on Ord.k leaves 1 of ${shards} shards`,
      })
      expect(steps.filter((step) => step.startsWith('copy')).map((step) => step.split(' of ').at(-1))).toEqual([
        'r',
        'm',
      ])
      expect(steps.at(-1)).toBe('ask 1 shard(s) the whole, with the rows of its other parts in their places')
      expect(reached.filter((one) => one.startsWith('acct'))).toEqual([shard])
      expect(statements.every((one) => one.text.includes('memo'))).toBe(true)
    }
  })

  it('says of a write of an unsharded table what is read of others, and that the home node does the rest', async () => {
    const texts = [
      'UPDATE ref r SET label = m.note FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = r.id',
      'INSERT INTO ref (id, code) VALUES (1, $$x$$) ON CONFLICT (id) DO UPDATE SET label = (SELECT max(m.note) FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = excluded.id)',
    ]
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      const last = `let node ${(dataSource.options as { home?: string }).home ?? 'n0'} put the parts together`
      for (const text of texts) {
        const { reason, steps, statements } = await explained(dataSource, text)
        expect({ name, text, reason, last: steps.at(-1) }).toEqual({
          name,
          text,
          reason: 'the rows of other tables are sent to the home node',
          last,
        })
        expect(
          steps
            .filter((step) => step.startsWith('copy'))
            .map((step) => / of (\w+)/.exec(step.replace(/about \d+ rows/, ''))?.[1])
            .toSorted(),
        ).toEqual(['m', 'o'])
        expect(statements.length).toBeGreaterThan(1)
      }
    }
  })
})
