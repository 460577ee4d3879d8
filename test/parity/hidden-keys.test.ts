import {
  Column,
  Entity,
  EntitySchema,
  type EntitySubscriberInterface,
  EventSubscriber,
  type InsertEvent,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  type UpdateEvent,
  VersionColumn,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedError, ShardKey, shardedSchema } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 2 }), { onKeyChange: 'move' })
class Article {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('varchar', { length: 20 }) author!: string
  @OneToMany(
    () => Remark,
    (remark) => remark.article,
    { cascade: true },
  )
  remarks!: Relation<Remark>[]
}

/** On one database it has no column for the author of its article. */
@Entity()
@Sharded({ colocatedWith: () => Article })
@ShardKey({ from: 'article' })
class Remark {
  @PrimaryGeneratedColumn('uuid') id!: string
  @Column('text') text!: string
  @VersionColumn() version!: number
  @ManyToOne(
    () => Article,
    (article) => article.remarks,
    { onDelete: 'CASCADE', cascade: ['insert'] },
  )
  article!: Relation<Article> | null
  @OneToMany(
    () => Vote,
    (vote) => vote.remark,
    { cascade: true },
  )
  votes!: Relation<Vote>[]
}

@Entity()
@Sharded({ colocatedWith: () => Article })
class Vote {
  @PrimaryColumn('int') id!: number
  @Column('int') points!: number
  @ManyToOne(
    () => Remark,
    (remark) => remark.votes,
    { onDelete: 'CASCADE' },
  )
  @ShardKey({ from: 'remark', name: 'placed_by' })
  remark!: Relation<Remark>
}

interface Sheet {
  id: number
  title: string
}
interface Stain {
  id: number
  sheet: { id: number } | null
}
const SheetSchema = shardedSchema(
  new EntitySchema<Sheet>({
    name: 'Sheet',
    columns: { id: { type: 'int', primary: true }, title: { type: 'text' } },
  }),
  { by: hash({ shards: 2 }), shardKey: ['title'] },
)
const StainSchema = shardedSchema(
  new EntitySchema<Stain>({
    name: 'Stain',
    columns: { id: { type: 'int', primary: true } },
    relations: { sheet: { type: 'many-to-one', target: 'Sheet' } },
  }),
  { by: { colocatedWith: () => 'Sheet' }, shardKey: { from: 'sheet' } },
)

const events: string[] = []

@EventSubscriber()
class Events implements EntitySubscriberInterface {
  afterInsert({ metadata, entity }: InsertEvent<object>): void {
    events.push(`insert ${metadata.name} ${JSON.stringify(Object.keys(entity).sort())}`)
  }
  afterUpdate({ metadata, updatedColumns }: UpdateEvent<object>): void {
    events.push(`update ${metadata.name} ${updatedColumns.map(({ propertyName }) => propertyName).join()}`)
  }
}

const entities = [Article, Remark, Vote, SheetSchema, StainSchema]
const [first, second, third] = ['1', '2', '3'].map((digit) => `${digit}0000000-0000-4000-8000-000000000001`) as [
  string,
  string,
  string,
] // There are three.

describe('a shard key without a property', () => {
  onTargets({ entities, groups: ['article', 'sheet'], subscribers: [Events] }, (target) => {
    const manager = () => target.dataSource.manager
    const isSharded = () => target.dataSource instanceof ShardedDataSource
    const remarks = () =>
      manager().find(Remark, { relations: { article: true, votes: true }, order: { id: 'ASC', votes: { id: 'ASC' } } })
    /** What the tables hold, and that each row has the key of its article. */
    const stored = async () => {
      if (isSharded()) {
        const wrong: unknown[] = await manager().query(
          `SELECT r.id FROM remark r JOIN article a ON a.id = r."articleId" WHERE r.author IS DISTINCT FROM a.author
           UNION ALL SELECT r.id FROM vote v JOIN remark r ON r.id = v."remarkId" WHERE v.placed_by IS DISTINCT FROM r.author`,
        )
        expect(wrong).toEqual([])
      }
      return {
        remarks: await manager().query(`SELECT r.id, r.text, r.version, r."articleId" FROM remark r ORDER BY r.id`),
        votes: await manager().query(`SELECT v.id, v.points, v."remarkId" FROM vote v ORDER BY v.id`),
      }
    }
    const coded = async (work: () => Promise<unknown>, code: string) => {
      if (!isSharded()) return
      const error = await work().then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(ShardedError)
      expect(error).toMatchObject({ code })
    }
    beforeEach(async () => {
      await manager().insert(Article, [
        { id: 1, author: 'ada' },
        { id: 2, author: 'bob' },
        { id: 3, author: 'cyd' },
        { id: 4, author: 'ada' },
      ])
      events.length = 0
    })

    it('is filled by saves, and is on no object', async () => {
      const remark = await manager().save(Remark, {
        id: first,
        text: 'a',
        article: { id: 2 } as Article,
        votes: [{ id: 1, points: 5 }],
      })
      const article = await manager().findOneByOrFail(Article, { id: 1 })
      await manager().save(Remark, [{ id: second, text: 'b', article }])
      await manager().save(Vote, { id: 2, points: 3, remark: { id: second } })
      expect(JSON.parse(JSON.stringify(remark))).toEqual({
        id: first,
        text: 'a',
        version: 1,
        article: { id: 2 },
        votes: [{ id: 1, points: 5 }],
      })
      const found = await remarks()
      expect(JSON.parse(JSON.stringify(found))).toEqual([
        { id: first, text: 'a', version: 1, article: { id: 2, author: 'bob' }, votes: [{ id: 1, points: 5 }] },
        { id: second, text: 'b', version: 1, article: { id: 1, author: 'ada' }, votes: [{ id: 2, points: 3 }] },
      ])
      expect(Reflect.ownKeys(found[0] ?? {}).sort()).toEqual(['article', 'id', 'text', 'version', 'votes'])
      await stored()
    })

    it('is left alone by later saves, which update nothing', async () => {
      const remark = await manager().save(Remark, { id: first, text: 'a', article: { id: 2 } as Article })
      await manager().save(Remark, remark)
      const [found] = await remarks()
      await manager().save(found)
      await manager().save(Remark, { id: first, text: 'a', article: { id: 2 } })
      if (found) found.text = 'b'
      await manager().save(found)
      found?.votes.push(manager().create(Vote, { id: 7, points: 1 }))
      await manager().save(found)
      const again = await manager().findOneByOrFail(Remark, { id: first })
      again.votes = [...(found?.votes ?? []), manager().create(Vote, { id: 8, points: 2 })]
      await manager().save(again)
      expect(events).toEqual([
        'insert Remark ["article","id","text","version"]',
        'update Remark text',
        'insert Vote ["id","points"]',
        'insert Vote ["id","points"]',
      ])
      expect(await stored()).toEqual({
        remarks: [{ id: first, text: 'b', version: 2, articleId: 2 }],
        votes: [
          { id: 7, points: 1, remarkId: first },
          { id: 8, points: 2, remarkId: first },
        ],
      })
    })

    it('is filled by cascades of new parents, and of parents of these', async () => {
      await manager().save(Article, {
        id: 9,
        author: 'eve',
        remarks: [{ id: first, text: 'a', votes: [{ id: 1, points: 1 }] }],
      })
      await manager().save(Remark, { id: second, text: 'b', article: { id: 10, author: 'fay' } })
      const article = manager().create(Article, { id: 11, author: 'guy' })
      const remark = manager().create(Remark, { id: third, text: 'c' })
      remark.article = article
      const vote = manager().create(Vote, { id: 2, points: 2 })
      vote.remark = remark
      await manager().save([vote, remark, article])
      expect(await stored()).toEqual({
        remarks: [
          { id: first, text: 'a', version: 1, articleId: 9 },
          { id: second, text: 'b', version: 1, articleId: 10 },
          { id: third, text: 'c', version: 1, articleId: 11 },
        ],
        votes: [
          { id: 1, points: 1, remarkId: first },
          { id: 2, points: 2, remarkId: third },
        ],
      })
    })

    it('is filled by insert, builders and upsert, and told by none of them', async () => {
      const rows = [
        { id: first, text: 'a', article: { id: 3 } },
        { id: second, text: 'b', article: { id: 1, author: 'ada' } },
        { id: third, text: 'c', article: { id: 4 } },
      ]
      const result = await manager().insert(Remark, rows)
      expect(result.identifiers).toEqual([{ id: first }, { id: second }, { id: third }])
      expect(rows).toEqual([
        { id: first, text: 'a', article: { id: 3 }, version: 1 },
        { id: second, text: 'b', article: { id: 1, author: 'ada' }, version: 1 },
        { id: third, text: 'c', article: { id: 4 }, version: 1 },
      ])
      const built = await manager()
        .createQueryBuilder()
        .insert()
        .into(Vote)
        .values([{ id: 1, points: 1, remark: { id: first } }])
        .returning(['id', 'points'])
        .execute()
      expect(built.raw).toEqual([{ id: 1, points: 1 }])
      await manager().upsert(
        Vote,
        [
          { id: 1, points: 4, remark: { id: first } },
          { id: 2, points: 5, remark: { id: second } },
        ],
        ['id'],
      )
      expect((await stored()).votes).toEqual([
        { id: 1, points: 4, remarkId: first },
        { id: 2, points: 5, remarkId: second },
      ])
      await coded(() => manager().upsert(Vote, [{ id: 1, points: 9, remark: { id: second } }], ['id']), 'KEY_CHANGED')
    })

    it('is read by no find, builder, stream or aggregate', async () => {
      await manager().insert(Remark, [
        { id: first, text: 'a', article: { id: 3 } },
        { id: second, text: 'b', article: { id: 1 } },
      ])
      expect(await manager().find(Remark, { order: { id: 'DESC' } })).toEqual([
        manager().create(Remark, { id: second, text: 'b', version: 1 }),
        manager().create(Remark, { id: first, text: 'a', version: 1 }),
      ])
      const builder = manager().createQueryBuilder(Remark, 'r').leftJoinAndSelect('r.article', 'a').orderBy('r.id')
      expect(await builder.getRawMany()).toEqual([
        { r_id: first, r_text: 'a', r_version: 1, r_articleId: 3, a_id: 3, a_author: 'cyd' },
        { r_id: second, r_text: 'b', r_version: 1, r_articleId: 1, a_id: 1, a_author: 'ada' },
      ])
      const streamed: unknown[] = []
      for await (const row of await manager().createQueryBuilder(Remark, 'r').orderBy('r.id').stream())
        streamed.push(row)
      expect(streamed).toHaveLength(2)
      expect(Object.keys(streamed[0] as object).sort()).toEqual(['r_articleId', 'r_id', 'r_text', 'r_version']) // A row.
      expect(await manager().countBy(Remark, { article: { author: 'cyd' } })).toBe(1)
      if (target.dataSource instanceof ShardedDataSource) {
        const { manager: sharded } = target.dataSource
        expect(await sharded.getRepository(Remark).withShardKey('cyd').find()).toMatchObject([{ id: first }])
        expect(await target.dataSource.verifyPlacement(Remark)).toMatchObject([{ rows: 2, misplaced: 0 }])
      }
      const relations = { remarks: { votes: true } }
      expect(await manager().find(Article, { relations, where: { remarks: { text: 'a' } } })).toMatchObject([{ id: 3 }])
    })

    it('stays where a row refers to another row of the same key, or to none', async () => {
      await manager().insert(Remark, { id: first, text: 'a', article: { id: 1 } })
      const [remark] = await remarks()
      if (remark) remark.article = manager().create(Article, { id: 4 })
      await manager().save(remark)
      expect((await stored()).remarks).toEqual([{ id: first, text: 'a', version: 2, articleId: 4 }])
      await manager().update(Remark, { id: first }, { article: null })
      expect((await stored()).remarks).toMatchObject([{ articleId: null }])
    })

    it('is not changed by what refers to a row of another key', async () => {
      await manager().insert(Remark, { id: first, text: 'a', article: { id: 1 } })
      await coded(async () => {
        const remark = await manager().findOneByOrFail(Remark, { id: first })
        remark.article = manager().create(Article, { id: 2 })
        await manager().save(remark)
      }, 'KEY_CHANGED')
      // An object that was not loaded is placed by what it refers to, and its row is found elsewhere.
      await coded(() => manager().save(Remark, { id: first, text: 'a', article: { id: 2 } }), 'DUPLICATE_PRIMARY_KEY')
      await coded(async () => {
        const article = await manager().findOneByOrFail(Article, { id: 3 })
        article.remarks = [await manager().findOneByOrFail(Remark, { id: first })]
        await manager().save(article)
      }, 'KEY_CHANGED')
      await coded(() => manager().update(Remark, { id: first }, { article: { id: 2 } }), 'KEY_CHANGED')
      await coded(() => manager().query(`UPDATE remark SET "articleId" = 2 WHERE id = $1`, [first]), 'KEY_CHANGED')
      const builder = manager().createQueryBuilder().relation(Remark, 'article').of({ id: first })
      await coded(() => builder.set({ id: 2 }), 'KEY_CHANGED')
      expect((await stored()).remarks).toMatchObject([{ articleId: 1 }])
    })

    it('moves with the parent', async () => {
      await manager().save(Remark, { id: first, text: 'a', article: { id: 1 }, votes: [{ id: 1, points: 1 }] })
      const article = await manager().findOneByOrFail(Article, { id: 1 })
      if (target.dataSource instanceof ShardedDataSource)
        await target.dataSource.manager.move(Article, article, 'zoe', { children: true })
      else await manager().update(Article, { id: 1 }, { author: 'zoe' })
      expect(await stored()).toMatchObject({ remarks: [{ id: first, articleId: 1 }], votes: [{ id: 1 }] })
      expect(await remarks()).toMatchObject([{ article: { author: 'zoe' }, votes: [{ id: 1 }] }])
      await manager().remove(await remarks())
      expect(await stored()).toEqual({ remarks: [], votes: [] })
    })

    it('keeps to that of the parent, also on one shard', async () => {
      await manager().insert(Remark, { id: first, text: 'a', article: { id: 1 } })
      const names = ['kim', 'lee', 'max', 'ned', 'oli']
      for (const author of names) {
        const article = await manager().findOneByOrFail(Article, { id: 1 })
        article.author = author
        await coded(() => manager().save(article), 'MOVE_LEAVES_CHILDREN')
        await coded(() => manager().update(Article, { id: 1 }, { author }), 'MOVE_LEAVES_CHILDREN')
        await coded(
          () => manager().query('UPDATE article SET author = $1 WHERE id = 1', [author]),
          'MOVE_LEAVES_CHILDREN',
        )
        await coded(() => manager().query('UPDATE remark SET author = $1', [author]), 'KEY_CHANGED')
        const other = await manager().findOneByOrFail(Article, { id: 2 })
        other.author = author
        await manager().save(other)
        if (target.dataSource instanceof ShardedDataSource) {
          const { manager: sharded } = target.dataSource
          await coded(() => sharded.move(Article, article, author), 'MOVE_LEAVES_CHILDREN')
          await coded(() => sharded.move(Remark, { id: first } as Remark, author), 'KEY_CHANGED')
        }
        await stored()
      }
      expect(await manager().findOneBy(Article, { id: 2 })).toMatchObject({ author: 'oli' })
    })

    it('is named by statements that insert, and by none that read all columns', async () => {
      await coded(
        () => manager().query(`INSERT INTO remark (id, text, version, "articleId") VALUES ($1, 'a', 1, 2)`, [first]),
        'KEY_MISSING',
      )
      if (isSharded())
        await manager().query(
          `INSERT INTO remark (id, text, version, "articleId", author) VALUES ($1, 'a', 1, 2, 'bob')`,
          [first],
        )
      else await manager().query(`INSERT INTO remark (id, text, version, "articleId") VALUES ($1, 'a', 1, 2)`, [first])
      expect(await manager().query('SELECT r.id, a.* FROM remark r JOIN article a ON a.id = r."articleId"')).toEqual(
        [{ id: first, author: 'bob' }].map((row) => ({ ...row, id: 2 })),
      )
      for (const text of [
        'SELECT * FROM remark',
        'SELECT r.* FROM remark r',
        'SELECT row_to_json(r) FROM remark r',
        'SELECT count(*) FROM remark r NATURAL JOIN article',
        `DELETE FROM remark WHERE author = 'bob' RETURNING *`,
        'SELECT (SELECT author FROM remark LIMIT 1) FROM article',
      ])
        await coded(() => manager().query(text), 'STATEMENT_UNSUPPORTED')
      expect((await stored()).remarks).toHaveLength(1)
    })

    it('of schemas of entities, and of loads', async () => {
      await manager().insert(SheetSchema, [
        { id: 1, title: 'one' },
        { id: 2, title: 'two' },
      ])
      const stains = target.dataSource.getRepository(StainSchema)
      await stains.save({ id: 1, sheet: { id: 2 } })
      await stains.insert({ id: 2, sheet: { id: 1 } })
      expect(await stains.find({ relations: { sheet: true }, order: { id: 'ASC' } })).toEqual([
        { id: 1, sheet: { id: 2, title: 'two' } },
        { id: 2, sheet: { id: 1, title: 'one' } },
      ])
      const rows = [{ id: first, text: 'a', version: 1, article: { id: 2, author: 'bob' } }]
      if (target.dataSource instanceof ShardedDataSource) await target.dataSource.manager.load(Remark, rows as never)
      else await manager().insert(Remark, rows)
      expect((await stored()).remarks).toEqual([{ id: first, text: 'a', version: 1, articleId: 2 }])
    })
  })
})
