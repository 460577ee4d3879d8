import { Column, type DataSource, Entity, Index, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { type OpenTargets, openTargets } from '../../support/targets'
import { answer } from './sides'

@Entity('part')
@Sharded(hash({ shards: 3 }), { group: 'part' })
class Part {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') brand!: string
  @Column('int', { nullable: true }) boxed!: number | null
}

@Entity('line')
@Sharded(hash({ shards: 3 }), { group: 'line' })
class Line {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Index() @Column('int', { nullable: true }) part!: number | null
  @Column('bigint') wide!: string
  @Column('int') qty!: number
  @Column('text') brand!: string
}

@Entity('kind')
class Kind {
  @PrimaryColumn('int') id!: number
  @Column('text') brand!: string
  @Column('int', { nullable: true }) size!: number | null
}

const seed = async (dataSource: DataSource): Promise<void> => {
  const parts = Array.from({ length: 2_000 }, (_, id) => ({
    id,
    brand: `b${id % 400}`,
    boxed: id % 7 === 0 ? null : (id * 13) % 2_000,
  }))
  const lines = Array.from({ length: 4_000 }, (_, id) => ({
    id,
    part: id % 11 === 0 ? null : (id * 37) % 2_300,
    wide: String((id * 37) % 2_300),
    qty: id % 10,
    brand: `b${id % 50}`,
  }))
  await dataSource.getRepository(Part).insert(parts)
  await dataSource.getRepository(Line).insert(lines)
  const kinds = Array.from({ length: 400 }, (_, id) => ({ id, brand: `b${id}`, size: id % 5 === 0 ? null : id % 50 }))
  await dataSource.getRepository(Kind).insert(kinds)
}

const few = "p.brand IN ('b3', 'b21')"

/** Each names few parts: of the lines only those that may matter are read, or all of them where that would be wrong. */
const reduced = [
  `SELECT l.id, p.id AS p FROM line l JOIN part p ON p.id = l.part WHERE ${few} ORDER BY 1, 2`,
  `SELECT l.id, p.id AS p FROM line l JOIN part p ON p.id = l.wide WHERE ${few} ORDER BY 1, 2`,
  `SELECT l.id, p.id AS p FROM part p LEFT JOIN line l ON p.id = l.part WHERE ${few} ORDER BY 1, 2`,
  `SELECT count(*), count(p.id) AS n FROM line l LEFT JOIN part p ON p.id = l.part AND ${few}`,
  `SELECT count(*), count(p.id) AS n FROM line l FULL JOIN part p ON p.id = l.part AND ${few}`,
  `SELECT count(*) FROM line l WHERE l.part IN (SELECT p.id FROM part p WHERE ${few})`,
  `SELECT count(*) FROM line l WHERE l.part NOT IN (SELECT p.id FROM part p WHERE ${few})`,
  `SELECT count(*) FROM line l WHERE EXISTS (SELECT FROM part p WHERE p.id = l.part AND ${few})`,
  `SELECT count(*) FROM line l WHERE NOT EXISTS (SELECT FROM part p WHERE p.id = l.part AND ${few})`,
  `SELECT count(*) FROM line l WHERE l.qty = 3 OR EXISTS (SELECT FROM part p WHERE p.id = l.part AND ${few})`,
  `SELECT p.id, (SELECT count(*) FROM line l WHERE l.part = p.id) AS n FROM part p WHERE ${few} ORDER BY 1`,
  `SELECT p.id, x.n FROM part p JOIN (SELECT part, count(*) AS n FROM line GROUP BY part) x ON x.part = p.id WHERE ${few} ORDER BY 1`,
  `SELECT p.id, x.id AS l, x.n FROM part p JOIN (SELECT id, part, count(*) OVER (PARTITION BY qty) AS n FROM line) x ON x.part = p.id WHERE ${few} ORDER BY 1, 2`,
  `SELECT p.id, x.id AS l FROM part p JOIN (SELECT id, part FROM line ORDER BY id LIMIT 600) x ON x.part = p.id WHERE ${few} ORDER BY 1, 2`,
  `SELECT count(*) FROM part p WHERE ${few} AND p.id IN (SELECT part FROM line WHERE qty > 2 ORDER BY id LIMIT 300)`,
  `SELECT p.id, s.id AS l FROM part p, LATERAL (SELECT id FROM line WHERE part = p.id ORDER BY qty DESC, id LIMIT 2) s WHERE ${few} ORDER BY 1, 2`,
  `SELECT l.id FROM line l JOIN part p ON p.id = l.part JOIN part q ON q.id = p.boxed WHERE ${few} ORDER BY 1`,
  `SELECT l.id, q.id AS q FROM line l JOIN part p ON p.id = l.part LEFT JOIN part q ON q.id = p.boxed WHERE ${few} ORDER BY 1`,
  `SELECT p.id, l.id AS l FROM part p JOIN line l USING (brand) WHERE ${few} ORDER BY 1, 2`,
  `SELECT p.id, l.id AS l FROM part p LEFT JOIN line l USING (brand) WHERE ${few} ORDER BY 1, 2`,
  `SELECT count(*) FROM line l RIGHT JOIN part p USING (brand) WHERE ${few}`,
  `WITH RECURSIVE w AS (SELECT p.id, p.boxed, 1 AS depth FROM part p WHERE p.id = 21 UNION ALL SELECT p.id, p.boxed, depth + 1 FROM part p JOIN w ON p.id = w.boxed WHERE depth < 9) SELECT * FROM w ORDER BY depth`,
  `WITH RECURSIVE w AS (SELECT p.id FROM part p WHERE p.id = 21 UNION SELECT l.id FROM line l JOIN w ON l.part = w.id WHERE l.id < 900) SELECT count(*), sum(id) AS s FROM w`,
  `WITH w AS (SELECT p.id FROM part p WHERE ${few}) SELECT count(*) FROM line a JOIN w ON w.id = a.part JOIN line b ON b.part = a.id`,
  `SELECT count(*) FROM line l WHERE l.qty < ALL (SELECT p.boxed FROM part p WHERE p.id = l.part AND ${few})`,
  `SELECT count(*) FROM line l WHERE EXISTS (SELECT FROM part p LEFT JOIN line m ON m.part = l.part AND m.qty = 5 WHERE ${few})`,
  `SELECT count(*) FROM line l WHERE EXISTS (SELECT FROM part p WHERE ${few} AND (p.boxed = 9 OR EXISTS (SELECT FROM line m WHERE m.part = l.id AND m.qty = 1)))`,
  `SELECT count(*), (SELECT count(*) FROM line m WHERE m.part = min(p.id)) AS n FROM part p WHERE ${few}`,
  `SELECT p.id FROM part p WHERE ${few} AND p.boxed IN (SELECT l.part FROM line l WHERE l.brand = p.brand) ORDER BY 1`,
  `SELECT l.id FROM line l JOIN part p ON p.id = l.part OR p.boxed = l.part WHERE ${few} ORDER BY 1`,
  `SELECT l.id FROM line l JOIN part p ON (p.id = l.part AND l.qty > 5) OR (p.id = l.part AND l.qty < 2) WHERE ${few} ORDER BY 1`,
  `SELECT p.id, count(l.id) AS n FROM part p LEFT JOIN line l ON l.part = p.id AND l.qty > 5 WHERE ${few} GROUP BY p.id HAVING count(l.id) < 2 ORDER BY 1`,
  `SELECT count(*) FROM line q WHERE q.id IN (SELECT id FROM part p FULL JOIN (SELECT id FROM line WHERE id > 3900) l USING (id))`,
  `SELECT count(*) FROM line q WHERE EXISTS (SELECT FROM (SELECT id FROM part WHERE id < 9) p RIGHT JOIN (SELECT id FROM line WHERE id > 3900) l USING (id) WHERE id = q.part)`,
  `SELECT p.brand, l.id FROM part p LEFT JOIN (line l JOIN part q ON q.id = l.part) ON q.boxed = p.id WHERE ${few} ORDER BY 1, 2`,
]

/** Rows of an unsharded table go to the shards, or say which rows of others are read. */
const besideHome = [
  `SELECT l.id, k.id AS k FROM line l JOIN kind k ON k.brand = l.brand WHERE k.size > 47 OR k.id < 3 ORDER BY 1, 2`,
  `SELECT l.id, k.id AS k FROM line l JOIN kind k ON k.brand = l.brand WHERE (k.size = 3 AND l.qty = 1) OR (k.size = 7 AND l.qty > 8 AND k.id < 90) ORDER BY 1, 2`,
  `SELECT l.id, k.id AS k FROM line l JOIN kind k ON k.brand = l.brand WHERE (k.size = 3 AND l.qty = 1) OR l.qty = 2 ORDER BY 1, 2`,
  `SELECT l.id, k.id AS k FROM line l LEFT JOIN kind k ON k.brand = l.brand AND k.size > 40 WHERE l.qty = 3 ORDER BY 1, 2`,
  `SELECT l.id, k.id AS k FROM line l LEFT JOIN kind k ON k.brand = l.brand WHERE l.qty = 3 AND k.size IS NULL ORDER BY 1, 2`,
  `SELECT k.id, l.id AS l FROM kind k LEFT JOIN line l ON k.id = l.part AND l.qty = 4 WHERE k.size < 4 ORDER BY 1, 2`,
  `SELECT k.id, l.id AS l FROM kind k FULL JOIN line l ON k.id = l.part AND k.size < 4 AND l.qty = 4 ORDER BY 1, 2`,
  `SELECT k.size, count(*) AS n FROM line l JOIN kind k ON k.brand = l.brand WHERE k.size BETWEEN 3 AND 9 GROUP BY k.size ORDER BY 1`,
  `SELECT k.id, k.brand, count(l.id) AS n FROM kind k LEFT JOIN line l ON l.part > k.id * 100 WHERE k.size = 3 GROUP BY k.id ORDER BY 1`,
  `SELECT l.id FROM line l JOIN kind k ON k.id = l.part WHERE k.size = 3 AND l.qty < (SELECT avg(m.qty) FROM line m WHERE m.part = k.id) ORDER BY 1`,
  `SELECT l.id, (SELECT count(*) FROM line m WHERE m.part = k.id) AS n FROM line l JOIN kind k ON k.id = l.part WHERE k.size = 3 ORDER BY 1`,
  `SELECT k.id FROM kind k WHERE k.size = 3 AND 2 > (SELECT count(*) FROM line m WHERE m.part = k.id AND m.qty > 3) ORDER BY 1`,
  `SELECT k.id FROM kind k WHERE k.size = 3 AND 1 / (SELECT count(*) + 1 FROM line m WHERE m.part = k.id) >= 0 ORDER BY 1`,
  `SELECT k.id FROM kind k WHERE k.brand IN (SELECT j.brand FROM kind j WHERE j.size = 4) AND k.id > (SELECT count(*) FROM line m WHERE m.part = k.id) ORDER BY 1`,
  `SELECT j.id, p.id AS p, l.id AS l FROM kind k JOIN line l ON l.part = k.id JOIN kind j ON j.id = l.part JOIN part p ON p.boxed = j.id WHERE k.size = 9 ORDER BY 1, 2, 3`,
  `SELECT p.id, l.id AS l FROM part p JOIN line l ON l.part = p.boxed LEFT JOIN kind k ON k.id = l.part AND k.size = 2 WHERE p.id < 40 ORDER BY 1, 2`,
  `SELECT k, l.id FROM kind k JOIN line l ON l.part = k.id WHERE k.size = 3 AND l.qty < (SELECT avg(m.qty) FROM line m WHERE m.part = k.id) ORDER BY k.id, l.id`,
  `WITH w AS (SELECT id, brand FROM kind WHERE size = 8) SELECT count(*) FROM line l JOIN w ON w.brand = l.brand JOIN w v ON v.id = l.part`,
]

/** Conditions that all copied rows meet are no more said of the copies, and rows that are the same for two places are read once. */
const said = [
  `SELECT l.id, l.qty, p.id AS p FROM line l JOIN part p ON p.boxed = l.part WHERE p.brand = 'b3' AND l.brand = 'b3' ORDER BY 1, 3`,
  `SELECT l.id, l.brand FROM line l JOIN part p ON p.boxed = l.part WHERE p.brand = 'b3' ORDER BY 1`,
  `SELECT l.id, p.id AS p FROM line l LEFT JOIN part p ON p.boxed = l.part AND p.brand = 'b3' AND l.brand = 'b7' WHERE l.qty = 3 ORDER BY 1, 2`,
  `SELECT l.id, p.id AS p FROM line l FULL JOIN part p ON p.boxed = l.part AND p.brand = 'b3' WHERE l.qty = 3 OR l.id IS NULL ORDER BY 1, 2`,
  `SELECT l.id, p.id AS p FROM line l LEFT JOIN part p ON p.boxed = l.part WHERE l.qty = 3 AND p.brand IS DISTINCT FROM 'b3' ORDER BY 1, 2`,
  `SELECT l.id, q.id AS q FROM line l LEFT JOIN (SELECT * FROM part WHERE brand = 'b3') q ON q.boxed = l.part WHERE l.qty = 3 ORDER BY 1, 2`,
  `SELECT p.id FROM part p WHERE substr(p.brand, 1, 2) = 'b3' AND EXISTS (SELECT FROM line l WHERE l.part = p.boxed AND upper(l.brand) LIKE 'B4%') ORDER BY 1`,
  `SELECT p.id FROM part p WHERE length(p.brand) + p.id > 1990 AND NOT EXISTS (SELECT FROM line l WHERE l.part = p.boxed) ORDER BY 1`,
  `SELECT p.id FROM part p JOIN line l ON l.part = p.boxed WHERE to_char(timestamptz '2020-01-01 00:00Z', 'YYYY') = p.brand OR p.id < 20 ORDER BY 1`,
  `SELECT a.id, b.id AS b FROM (SELECT id, part FROM line WHERE qty = 3) a JOIN (SELECT id, part FROM line WHERE qty = 3) b ON b.part = a.id ORDER BY 1, 2`,
  `SELECT count(*) FROM line JOIN part p ON p.id = line.part WHERE ${few} AND line.qty > (SELECT avg(qty) FROM line WHERE line.part = p.id)`,
  `SELECT count(*) FROM line JOIN part p ON p.id = line.part WHERE ${few} AND line.qty > (SELECT avg(qty) FROM line WHERE line.part = p.boxed)`,
  `WITH w AS (SELECT id, part FROM line WHERE qty = 2) SELECT count(*) FROM w a JOIN w b ON a.part = b.id LEFT JOIN w c ON c.part = b.part AND c.id < 100`,
  `SELECT count(*) FROM part p WHERE p.brand = 'b3' AND p.boxed IN (SELECT l.part FROM line l WHERE l.brand = 'b3' GROUP BY l.part, l.brand HAVING l.brand = 'b3')`,
  `SELECT k.id FROM kind k WHERE k.id IN (SELECT p.boxed FROM part p WHERE p.id > (SELECT sum(m.qty) FROM line m WHERE m.part = p.id)) ORDER BY 1`,
  `SELECT l.id FROM line l WHERE l.part IN (SELECT p.boxed FROM part p WHERE p.id IN (SELECT m.part FROM line m WHERE m.qty = 4 AND m.id IN (SELECT boxed FROM part))) ORDER BY 1`,
]

/** Many rows of one table meet more of another: the fewer go to the shards of the more. */
const sent = [
  `SELECT l.brand, count(*)::int AS n, sum(p.id) AS s FROM line l JOIN part p ON p.boxed = l.part GROUP BY 1 ORDER BY 1`,
  `SELECT l.id, p.id AS p FROM line l LEFT JOIN part p ON p.boxed = l.part ORDER BY 1, 2 LIMIT 50`,
  `SELECT count(*), count(k.id) AS k FROM line l JOIN part p ON p.boxed = l.part LEFT JOIN kind k ON k.brand = p.brand`,
  `SELECT p.id, p.brand, count(*) AS n FROM line l JOIN part p ON p.boxed = l.part GROUP BY p.id ORDER BY 1`,
  `SELECT (p).*, l.id AS l FROM line l JOIN part p ON p.boxed = l.part ORDER BY p, l.id LIMIT 9`,
]

describe('of tables that are gathered', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ entities: [Part, Line, Kind], groups: ['part', 'line'], seed })
  })
  afterAll(() => targets?.close())

  it.each([...reduced, ...besideHome, ...said, ...sent])(
    'rows that do not matter may stay where they are: %s',
    async (text) => {
      const expected = await answer(targets.plain, text)
      expect(expected).toHaveProperty('rows.length')
      for (const { name, dataSource } of targets.sharded)
        expect({ name, ...(await answer(dataSource, text)) }).toEqual({ name, ...expected })
    },
  )

  it('many rows go into temporary tables, of which nothing is left', async () => {
    const text =
      'SELECT l.brand, count(*)::int AS n FROM line l FULL JOIN part p ON p.brand = l.brand GROUP BY 1 ORDER BY 1'
    const expected = await answer(targets.plain, text)
    for (const { dataSource } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource)) continue
      const read: string[] = []
      const end = dataSource.onStatement(({ text: sent }) => read.push(sent))
      expect(await answer(dataSource, text)).toEqual(expected)
      expect(
        await answer(
          dataSource,
          text.replace('l.brand, count', '1 / (sum(l.qty) - sum(l.qty)), count').replace('1 ORDER BY 1', 'l.brand'),
        ),
      ).toEqual({
        error: '22012',
      })
      end()
      expect(read.filter((sent) => sent.startsWith('CREATE TEMPORARY TABLE'))).toHaveLength(4)
      const [{ n }] = await dataSource.query("SELECT count(*)::int AS n FROM pg_class WHERE relpersistence = 't'")
      expect(n).toBe(0)
    }
  })

  it('what is apart in a query that runs apart is read once, with it', async () => {
    const text =
      'SELECT count(*) FROM kind k WHERE k.id IN (SELECT p.boxed FROM part p WHERE p.id > (SELECT sum(m.qty) FROM line m WHERE m.part = p.id))'
    for (const { dataSource, shards } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource) || shards === 1) continue
      await dataSource.query(text)
      const read: string[] = []
      const end = dataSource.onStatement(({ text: one }) => read.push(one))
      await dataSource.query(text)
      end()
      expect(read.filter((one) => one.includes('m.qty AS qty'))).toHaveLength(2)
    }
  })

  it('rows that are the same for two places are copied once, and only the columns that are still named', async () => {
    const text =
      "SELECT count(*) FROM line JOIN part p ON p.id = line.part WHERE p.brand = 'b3' AND line.qty > (SELECT avg(qty) FROM line WHERE line.part = p.id)"
    for (const { dataSource, shards } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource) || shards === 1) continue
      await dataSource.query(text)
      const read: string[] = []
      const end = dataSource.onStatement(({ text: one }) => read.push(one))
      await dataSource.query(text)
      end()
      const last = read.at(-1) ?? ''
      expect(/^WITH (.+?) SELECT count/.exec(last)?.[1]?.match(/"__m\d__"\([^)]*\)/g)).toEqual([
        '"__m0__"("id")',
        '"__m1__"("id", "part", "qty")',
      ])
      expect(last).toContain('WHERE true AND')
    }
  })

  it('rows that a query of unsharded tables looks for once for each of its rows have an index', async () => {
    const text = 'SELECT count(*) FROM kind k WHERE k.size < (SELECT count(*) FROM line m WHERE m.part = k.id)'
    for (const { dataSource } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource)) continue
      await dataSource.query(text)
      const read: string[] = []
      const end = dataSource.onStatement(({ text: one }) => read.push(one))
      expect(await answer(dataSource, text)).toEqual(await answer(targets.plain, text))
      end()
      if (dataSource.shardMap.shards.size > 1)
        expect(read.filter((one) => one.startsWith('CREATE INDEX'))).toEqual(['CREATE INDEX ON "__m0__"("part")'])
    }
  })

  it('many rows go to the shards of another table, where they are grouped', async () => {
    for (const { dataSource, shards } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource) || shards === 1) continue
      const { steps, reason } = await dataSource
        .getRepository(Line)
        .createQueryBuilder('l')
        .innerJoin(Part, 'p', 'p.boxed = l.part')
        .select('l.brand', 'brand')
        .addSelect('count(*)', 'n')
        .groupBy('l.brand')
        .explain()
      expect(reason).toContain('the rows of other tables are sent to its shards')
      expect(steps[0]).toMatch(/^copy about \d+ rows of [lp]$/)
      expect(steps.at(-1)).toBe(`ask ${shards} shard(s) the whole, with the rows of its other parts in their places`)
    }
  })

  it('few keys of one leave few rows of the other, and few shards', async () => {
    for (const { dataSource, shards } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource) || shards === 1) continue
      const asked = 'SELECT l.id, p.brand FROM line l JOIN part p ON p.id = l.part WHERE l.id = 700'
      await dataSource.query(asked)
      const read: string[] = []
      const end = dataSource.onStatement(({ text }) => read.push(text))
      await dataSource.query(asked)
      end()
      // What the nodes expect, and the types of columns, are asked once: then one statement of one shard for each table.
      expect(read.map((text) => /EXPLAIN|UNION ALL/.test(text))).toEqual([false, false, false])
      expect(read[1]).toContain('ANY')
    }
  })
})
