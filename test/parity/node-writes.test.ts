import { Client } from 'pg'
import {
  Check,
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  In,
  JoinColumn,
  ManyToOne,
  MoreThan,
  PrimaryColumn,
  type QueryRunner,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
@Check('"n" < 1000')
class Tree {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') n!: number
  @Column('bigint', { default: 0 }) big!: string
  @Column('numeric', { precision: 12, scale: 2, default: 0 }) price!: string
  @Column('timestamptz', { default: '2026-01-02T03:04:05.678Z' }) at!: Date
  @Column('text', { array: true, default: '{a,b}' }) tags!: string[]
  @Column('jsonb', { default: { x: [1, null] } }) data!: unknown
  @Column('varchar', { default: '' }) note!: string
  @DeleteDateColumn() deletedAt!: Date | null
}

@Entity()
@Sharded({ colocatedWith: () => Tree })
class Leaf {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') treeId!: number
  @ManyToOne(() => Tree, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'treeId' })
  tree!: Relation<Tree>
  @Column('int', { nullable: true }) nextId!: number | null
  @ManyToOne(() => Leaf, { deferrable: 'INITIALLY DEFERRED' })
  @JoinColumn({ name: 'nextId' })
  next!: Relation<Leaf> | null
  @Column('enum', { enum: ['green', 'brown'], default: 'green' }) colour!: string
}

/** It holds the rows of its tree, which may not go before it. */
@Entity()
@Sharded({ colocatedWith: () => Tree })
class Nest {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') treeId!: number
  @ManyToOne(() => Tree)
  @JoinColumn({ name: 'treeId' })
  tree!: Relation<Tree>
}

const trees = Array.from({ length: 24 }, (_, index) => ({ id: index + 1, n: (index + 1) * 10 }))
const leaves = trees.map(({ id }) => ({ id, treeId: id, nextId: null }))

/** Notes of row triggers, of each database; one that leaves a row out, and one that changes it. */
const notes = `
  CREATE TABLE IF NOT EXISTS note (what text NOT NULL);
  TRUNCATE note;
  CREATE OR REPLACE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.note VALUES (TG_WHEN || ' ' || TG_OP || ' ' || OLD.id);
    RETURN NULL;
  END $$;
  CREATE OR REPLACE FUNCTION change_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF OLD.id % 5 = 0 THEN RETURN NULL; END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    NEW.note := NEW.note || 'seen ' || NEW.n;
    RETURN NEW;
  END $$;`

const triggersOn = (table: string): string => `
  CREATE TRIGGER note_row AFTER UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION public.note_row();
  CREATE TRIGGER change_row BEFORE UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION public.change_row();`

/** Two trees of one node, the first on an earlier shard than the second where they are on two. */
function neighbours(dataSource: DataSource): readonly [number, number] {
  if (!(dataSource instanceof ShardedDataSource) || dataSource.shards(Tree).length === 1) return [1, 2]
  const places = dataSource.shards(Tree).map(({ name }) => name)
  for (const { id } of trees)
    for (const other of trees) {
      const [first, second] = [dataSource.locate(Tree, id), dataSource.locate(Tree, other.id)]
      if (first.node === second.node && places.indexOf(first.shard) < places.indexOf(second.shard))
        return [id, other.id]
    }
  throw new Error('No node has trees on two shards.')
}

const hasNeighbours = (shards: readonly { readonly node: string }[]): boolean =>
  new Set(shards.map(({ node }) => node)).size < shards.length

interface Side {
  readonly name: string
  readonly dataSource: DataSource
}

/** What a write gave, and what the tables hold then. */
type Outcome = Readonly<Record<string, unknown>>

const withClients = async (dataSource: DataSource, work: (client: Client) => Promise<unknown>): Promise<unknown[]> => {
  const { nodes, url } = dataSource.options as { nodes?: Record<string, { url: string }>; url?: string }
  const results: unknown[] = []
  for (const connectionString of nodes ? Object.values(nodes).map((node) => node.url) : [url]) {
    const client = new Client({ connectionString })
    await client.connect()
    results.push(await work(client))
    await client.end()
  }
  return results
}

/** The physical names of a table on a database. */
const tablesOn = async (client: Client, table: string): Promise<readonly string[]> => {
  const { rows } = await client.query(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE tablename ~ $1 ORDER BY 1`,
    [`^${table}(_\\d+)?$`],
  )
  return rows.map(({ name }: { name: string }) => name)
}

/** A message without what each shard has under a name of its own: constraints, suffixes of tables, schemas of types. */
const withoutPlaces = (message: string): string =>
  message
    .replace(/"(CHK|FK)_\w+"/g, '"$1"')
    .replace(/"(tree|leaf|nest)_\d+"/g, '"$1"')
    .replace(/\btree_\d+\./g, '')
    .replace(/\bleaf_\d+_/g, 'leaf_')

describe('writes on several shards of a node', () => {
  let open: OpenTargets
  let sides: readonly Side[]

  beforeAll(async () => {
    open = await openTargets({ entities: [Tree, Leaf, Nest], groups: ['tree'] })
    sides = [{ name: 'plain', dataSource: open.plain }, ...open.sharded]
    for (const { dataSource } of sides) await withClients(dataSource, (client) => client.query(notes))
  }, 120_000)
  afterAll(() => open?.close())
  beforeEach(async () => {
    for (const { dataSource } of sides) {
      for (const target of [Nest, Leaf, Tree]) await dataSource.getRepository(target).deleteAll()
      await dataSource.getRepository(Tree).insert(trees)
      await dataSource.getRepository(Leaf).insert(leaves)
      await withClients(dataSource, (client) => client.query('TRUNCATE note'))
    }
  })

  const rowsOf = async (dataSource: DataSource): Promise<Outcome> => ({
    trees: await dataSource
      .getRepository(Tree)
      .find({ order: { id: 'ASC' }, withDeleted: true, select: { id: true, n: true, note: true, price: true } }),
    leaves: await dataSource.getRepository(Leaf).find({ order: { id: 'ASC' } }),
    notes: (await withClients(dataSource, async (client) => (await client.query('SELECT what FROM note')).rows))
      .flat()
      .map((row) => (row as { what: string }).what)
      .sort(),
  })

  const sorted = (value: unknown): unknown =>
    Array.isArray(value) ? value.map((one) => (Array.isArray(one) ? one.toSorted(byText) : one)) : value
  const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

  const outcomeOf = async (
    dataSource: DataSource,
    work: (dataSource: DataSource) => Promise<unknown>,
  ): Promise<Outcome> => {
    const result = await work(dataSource).then(
      (value) => ({ value }),
      (error: { driverError?: { code?: string; message?: string } }) => ({
        code: error.driverError?.code,
        message: error.driverError?.message && withoutPlaces(error.driverError.message),
      }),
    )
    return { ...result, ...(await rowsOf(dataSource)) }
  }

  /** The same on one database and on every sharding of it. */
  const expectAlike = async (work: (dataSource: DataSource) => Promise<unknown>): Promise<Outcome> => {
    const [plain, ...sharded] = sides
    if (!plain) throw new Error('There is plain TypeORM.')
    const expected = await outcomeOf(plain.dataSource, work)
    for (const { name, dataSource } of sharded)
      expect({ name, ...(await outcomeOf(dataSource, work)) }).toEqual({ name, ...expected })
    return expected
  }
  const statement =
    (text: string, parameters: readonly unknown[] = []) =>
    async (to: Pick<DataSource | QueryRunner, 'query'>): Promise<unknown> =>
      sorted(await to.query(text, [...parameters]))

  it.each([
    ['UPDATE tree SET n = n + $1 WHERE n > $2', [1, 100]],
    ['UPDATE tree SET n = n + 1', []],
    ['DELETE FROM tree WHERE n > $1', [100]],
    ['UPDATE tree SET n = 5 WHERE false', []],
    ['UPDATE tree SET n = $1 WHERE n > $2 RETURNING id, n, note', [7, 100]],
    [
      'UPDATE tree SET n = 3 WHERE n < 90 RETURNING big, price, at, tags, data, note, n * 2 AS twice, NULL AS none, $1::text AS given',
      ['g'],
    ],
    ['UPDATE tree SET n = 3 WHERE n < 90 RETURNING *', []],
    ['UPDATE tree SET n = 3 WHERE n < 90 RETURNING id, id', []],
    ['DELETE FROM tree WHERE n < 90 RETURNING id AS was, note', []],
    ['DELETE FROM tree WHERE id IN ($1, $2, $3, $4, $5) RETURNING id', [1, 2, 3, 4, 99]],
    ['UPDATE tree SET n = 1 WHERE id = ANY($1) AND n > $2 RETURNING id', [[1, 2, 3, 4, 99], 15]],
    [`UPDATE tree SET note = E'it''s \\'$1\\'' || $1 || $q$ $2 $q$ WHERE n > $2`, ['x', 100]],
    [
      'WITH far AS (SELECT id FROM tree WHERE n > 200) UPDATE tree SET n = 1 FROM far WHERE far.id = tree.id RETURNING tree.id',
      [],
    ],
    [
      'WITH RECURSIVE up AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM up WHERE i < 3) DELETE FROM tree WHERE n > 100 AND (SELECT count(*) FROM up) = 3',
      [],
    ],
    [
      'UPDATE leaf SET "nextId" = leaf.id FROM tree WHERE tree.id = leaf."treeId" AND tree.n > 50 RETURNING leaf.id',
      [],
    ],
    ['DELETE FROM leaf USING tree WHERE tree.id = leaf."treeId" AND tree.n > 50 RETURNING leaf.id, tree.n', []],
    [`UPDATE leaf SET colour = 'brown' WHERE colour = $1 RETURNING id, colour`, ['green']],
    [`UPDATE leaf SET colour = $1 WHERE id > $2`, ['brown', 3]],
    ['DELETE FROM leaf WHERE id > 3 RETURNING colour', []],
  ] as const)('are those of one database: %s', async (text, parameters) => {
    await expectAlike(statement(text, parameters))
  })

  it.each([
    ['22012', 'UPDATE tree SET n = 1 / (n - 50)'],
    ['23514', 'UPDATE tree SET n = n * 10'],
    ['23502', 'UPDATE tree SET n = NULL WHERE n > 5'],
    ['42703', 'UPDATE tree SET nothing = 1'],
    ['42703', 'UPDATE tree SET n = 1 RETURNING nothing'],
    ['22P02', `UPDATE leaf SET colour = 'red'`],
    ['42804', 'UPDATE tree SET n = now() RETURNING id'],
    ['42803', 'DELETE FROM tree RETURNING count(*)'],
    ['22003', 'UPDATE tree SET n = 3000000000 WHERE n > 5'],
  ])('fail with %s as on one database: %s', async (code, text) => {
    expect(await expectAlike(statement(text))).toMatchObject({ code })
  })

  it('fail for what a row does before foreign keys are checked, whichever shard comes first', async () => {
    for (const { name, dataSource } of sides) {
      const [kept, wrong] = neighbours(dataSource)
      await dataSource.getRepository(Nest).insert({ id: 1, treeId: kept })
      const text = `DELETE FROM tree WHERE n IN (${10 * kept}, ${10 * wrong}) RETURNING 1 / (n - ${10 * wrong}) AS q`
      expect({ name, ...(await outcomeOf(dataSource, statement(text))) }).toMatchObject({ name, code: '22012' })
      const { code } = await outcomeOf(
        dataSource,
        statement(`DELETE FROM tree WHERE n IN (${10 * kept}, ${10 * wrong})`),
      )
      expect({ name, code }).toEqual({ name, code: '23503' })
    }
  })

  it('fire triggers once a row, which may change rows and leave them out', async () => {
    for (const { dataSource } of sides)
      await withClients(dataSource, async (client) => {
        for (const table of await tablesOn(client, 'tree')) await client.query(triggersOn(table))
      })
    try {
      for (const work of [
        statement('UPDATE tree SET n = n + 1 WHERE n > 100 RETURNING id, note'),
        (dataSource: DataSource) => dataSource.getRepository(Tree).update({ n: MoreThan(100) }, { n: 1 }),
        (dataSource: DataSource) => dataSource.getRepository(Tree).increment({ n: MoreThan(50) }, 'n', 1),
        (dataSource: DataSource) => dataSource.getRepository(Tree).delete({ n: MoreThan(50) }),
      ]) {
        const outcome = await expectAlike(work)
        expect((outcome['notes'] as readonly string[]).length).toBeGreaterThan(10)
      }
    } finally {
      for (const { dataSource } of sides)
        await withClients(dataSource, async (client) => {
          for (const table of await tablesOn(client, 'tree'))
            await client.query(`DROP TRIGGER note_row ON ${table}; DROP TRIGGER change_row ON ${table}`)
        })
    }
  })

  const onTrees = async (make: (table: string) => string): Promise<void> => {
    for (const { dataSource } of sides)
      await withClients(dataSource, async (client) => {
        for (const table of await tablesOn(client, 'tree')) await client.query(make(table))
      })
  }
  /** The nodes are asked anew: they know of no rule. */
  const forgotten = async (): Promise<void> => {
    for (const { dataSource } of sides) {
      if (!(dataSource instanceof ShardedDataSource)) continue
      const { rules } = dataSource.runtime
      const nodes = [...new Set(dataSource.shards(Tree).map(({ node }) => node))]
      for (const node of nodes) rules.refresh(node)
      await rules.of(nodes)
    }
  }

  it('keep rules, which PostgreSQL does not take in a WITH', async () => {
    await forgotten()
    await onTrees(
      (table) => `CREATE RULE noted AS ON UPDATE TO ${table} DO ALSO INSERT INTO note VALUES ('rule ' || OLD.id)`,
    )
    try {
      // The first write meets a rule that was made since its nodes were asked.
      const ruled = statement('UPDATE tree SET note = $1 WHERE n > $2', ['r', 100])
      expect((await expectAlike(ruled))['notes']).toHaveLength(14)
      const outcome = await expectAlike((to) => to.transaction((manager) => ruled(manager)))
      expect(outcome['notes']).toHaveLength(28)
    } finally {
      await onTrees((table) => `DROP RULE noted ON ${table}`)
    }
  })

  const cat = (action: string): string => `CREATE RULE noted AS ON DELETE TO TABLE_NAME DO ${action}`
  const instead = cat(`INSTEAD UPDATE TABLE_NAME SET note = 'gone' WHERE id = OLD.id RETURNING OLD.*`)

  it.each(['DELETE FROM tree WHERE n > $1', 'DELETE FROM tree WHERE n > $1 RETURNING id, n'])(
    'keep rules that do something else instead, and were made while the nodes were open: %s',
    async (text) => {
      await forgotten()
      await onTrees((table) => instead.replaceAll('TABLE_NAME', table))
      try {
        await expectAlike(statement(text, [100]))
        await expectAlike((to) => to.transaction((manager) => statement(text, [100])(manager)))
      } finally {
        await onTrees((table) => `DROP RULE noted ON ${table}`)
        await forgotten()
      }
    },
  )

  it.each([
    ['another write beside it', cat('ALSO UPDATE note SET what = what')],
    ['nothing instead', cat('INSTEAD NOTHING')],
    ['another write instead', instead],
  ])('are PLAN_STALE once in a transaction of the caller where a rule was made: %s', async (_, rule) => {
    const sharded = sides.flatMap(({ dataSource }) => (dataSource instanceof ShardedDataSource ? [dataSource] : []))
    await onTrees((table) => rule.replaceAll('TABLE_NAME', table))
    try {
      for (const dataSource of sharded.filter((one) => hasNeighbours(one.shards(Tree)))) {
        const write = () =>
          dataSource.transaction((manager) => manager.query('DELETE FROM tree WHERE n > 1000')).catch((error) => error)
        expect(await write()).toMatchObject({ code: 'PLAN_STALE' })
        expect(await write()).toEqual([[], 0])
      }
    } finally {
      await onTrees((table) => `DROP RULE noted ON ${table}`)
      await forgotten()
    }
  })

  it('check deferred constraints at the end of the transaction', async () => {
    const linked = (then: string) => (dataSource: DataSource) =>
      dataSource.transaction(async (manager) => {
        const broken = await manager.query('UPDATE leaf SET "nextId" = 77 WHERE id > 5')
        return [broken, await manager.query(then)]
      })
    expect(await expectAlike(linked('UPDATE leaf SET "nextId" = NULL WHERE "nextId" = 77'))).toHaveProperty('value')
    expect(await expectAlike(linked('UPDATE leaf SET "nextId" = NULL WHERE id = 6'))).toMatchObject({ code: '23503' })
  })

  it('are undone with the transaction of the caller, or a savepoint of it', async () => {
    await expectAlike(async (dataSource) => {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      const first = await runner.query('UPDATE tree SET n = 1 WHERE n > 50')
      await runner.startTransaction()
      await expect(runner.query('UPDATE tree SET n = 2000')).rejects.toThrow()
      await runner.rollbackTransaction()
      const second = await runner.query('SELECT count(*) AS c FROM tree WHERE n = 1')
      await runner.rollbackTransaction()
      await runner.release()
      return [first, second]
    })
  })

  it('are refused alike in a transaction that only reads', async () => {
    const { code } = await expectAlike((dataSource) =>
      dataSource.transaction(async (manager) => {
        await manager.query('SET TRANSACTION READ ONLY')
        await manager.query('UPDATE tree SET n = 1')
      }),
    )
    expect(code).toBe('25006')
  })

  it('of repositories and builders are alike, each time anew', async () => {
    for (let round = 0; round < 3; round++) {
      await expectAlike((to) =>
        to.getRepository(Tree).update({ n: MoreThan(100) }, { n: round, note: () => `note || 'x'` }),
      )
      await expectAlike((to) => to.getRepository(Tree).updateAll({ price: '1.50' }))
      await expectAlike((to) => to.getRepository(Tree).update({ id: In([1, 2, 3, 4, 5]) }, { n: 4 }))
      await expectAlike((to) => to.getRepository(Tree).update([1, 2, 7], { n: 4 }))
      await expectAlike((to) => to.getRepository(Tree).decrement({ n: MoreThan(100) }, 'n', 2))
      await expectAlike(async (to) => {
        const { raw, affected } = await to
          .getRepository(Tree)
          .update({ n: MoreThan(100) }, { n: 8 }, { returning: ['id', 'big', 'n'] })
        return sorted([raw, affected])
      })
      await expectAlike(async (to) => {
        const gone = await to
          .createQueryBuilder()
          .delete()
          .from(Tree)
          .where('n = :n', { n: 8 })
          .returning('id')
          .execute()
        return sorted([gone.raw, gone.affected])
      })
      await expectAlike((to) => to.getRepository(Tree).softDelete({ n: MoreThan(5) }))
      await expectAlike((to) => to.getRepository(Tree).restore({ n: MoreThan(5) }))
      await expectAlike((to) => to.getRepository(Leaf).update({ colour: 'green' }, { colour: 'brown' }))
      await expectAlike((to) => to.getRepository(Tree).delete({ n: MoreThan(5) }))
      await expectAlike((to) => to.getRepository(Leaf).deleteAll())
      for (const { dataSource } of sides) {
        await dataSource.getRepository(Tree).deleteAll()
        await dataSource.getRepository(Tree).insert(trees)
        await dataSource.getRepository(Leaf).insert(leaves)
      }
    }
  })

  it('give the rows of a RETURNING in the order of the shards', async () => {
    for (const { dataSource } of sides) {
      if (!(dataSource instanceof ShardedDataSource)) continue
      const shards = dataSource.shards(Tree).map(({ name }) => name)
      for (const text of ['UPDATE tree SET n = 1 RETURNING id', 'UPDATE tree SET n = 1 RETURNING *']) {
        const [rows]: [{ id: number }[]] = await dataSource.query(text)
        const places = rows.map(({ id }) => shards.indexOf(dataSource.locate(Tree, id).shard))
        expect(places).toEqual(places.toSorted((a, b) => a - b))
      }
    }
  })
})
