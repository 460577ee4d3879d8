import { Column, Entity, PrimaryColumn } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 1 }))
class Ev {
  @ShardKey() @PrimaryColumn('int') k!: number
  @Column('enum', { enum: ['x', 'y'], enumName: 'ev_kind' }) kind!: string
  @Column('enum', { enum: ['x', 'y'] }) mood!: string
}

@Entity()
class Note {
  @PrimaryColumn('int') id!: number
  @Column('enum', { enum: ['p', 'q'] }) tone!: string
}

/** What one database answers of its one table, and shards refuse. */
const refused: readonly (readonly [string, ...string[]])[] = [
  [`SELECT to_regclass('ev')`],
  [`SELECT to_regclass('public.ev')`],
  [`SELECT 'ev'::regclass`],
  [`SELECT count(*) FROM pg_class WHERE oid = 'ev'::regclass`],
  [`SELECT pg_relation_size('ev')`],
  [`SELECT pg_relation_size('ev'::text::regclass)`],
  [`SELECT has_table_privilege('ev', 'select')`],
  [`SELECT NULL::ev`],
  [`SELECT (jsonb_populate_record(NULL::ev, '{"k": 5}')).k`],
  [`SELECT column_name FROM information_schema.columns WHERE table_name = 'ev'`],
  ['SELECT column_name FROM information_schema.columns WHERE table_name = $1', 'ev'],
  ['SELECT relname FROM pg_class WHERE relname = $1', 'ev'],
  ['SELECT DISTINCT tableoid FROM ev'],
  ['SELECT e.tableoid::regclass::text FROM ev e WHERE k = 1'],
  [`SELECT count(*) FROM ev WHERE mood = 'x'::ev_mood_enum`],
  ['SELECT enum_range(NULL::ev_mood_enum)'],
  ['DROP TABLE IF EXISTS ev'],
  ['DROP TABLE ev CASCADE'],
  ['DROP TYPE IF EXISTS ev_mood_enum'],
  [`COMMENT ON TABLE ev IS 'events'`],
  ['DO $$ BEGIN DELETE FROM ev; END $$'],
  ['CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM ev $$'],
]

/** What one shard does as one database, and several refuse. */
const refusedBySeveral: readonly (readonly [string])[] = [
  ['TRUNCATE ev'],
  ['CREATE INDEX ON ev (kind)'],
  ['ALTER TABLE ev ADD COLUMN n int'],
  ['LOCK TABLE ev'],
  ['ANALYZE ev'],
  ['EXPLAIN SELECT * FROM ev'],
  ['CREATE VIEW evs AS SELECT * FROM ev'],
  ['CREATE TABLE evs AS SELECT * FROM ev'],
  ['GRANT SELECT ON ev TO public'],
  ['MERGE INTO ev USING note ON ev.k = note.id WHEN MATCHED THEN DELETE'],
]

describe('a sharded table as a thing of the catalog', () => {
  onTargets({ entities: [Ev, Note], groups: ['ev'] }, (target) => {
    const all = target.shards > 1 ? [...refused, ...refusedBySeveral] : refused
    it.each(target.shards === 0 ? [] : all)('refuses %s', async (text, ...parameters) => {
      await target.dataSource.getRepository(Ev).insert({ k: 1, kind: 'x', mood: 'y' })
      const error: unknown = await target.dataSource.query(text, parameters).catch((one: unknown) => one)
      expect(error).toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
      expect(await target.dataSource.getRepository(Ev).count()).toBe(1)
    })

    it('leaves the catalog of the home node to be asked for unsharded tables', async () => {
      const { dataSource } = target
      expect(await dataSource.query(`SELECT to_regclass('note')::text AS t`)).toEqual([{ t: 'note' }])
      expect(await dataSource.query(`SELECT 'p'::note_tone_enum::text AS t`)).toEqual([{ t: 'p' }])
      const columns = `SELECT column_name AS c FROM information_schema.columns WHERE table_name = $1 ORDER BY 1`
      expect(await dataSource.query(columns, ['note'])).toEqual([{ c: 'id' }, { c: 'tone' }])
      await dataSource.query(`COMMENT ON TABLE note IS 'what ev is about'`)
    })

    it('lets the tables of one shard be changed under their own names', async () => {
      const { dataSource } = target
      if (!(dataSource instanceof ShardedDataSource)) return
      for (const shard of dataSource.shards(Ev)) {
        const on = dataSource.shard(shard.name)
        await on.query('CREATE INDEX ev_by_kind ON "__shard__"."ev" (kind)')
        await on.query('ANALYZE "__shard__"."ev"')
        const schema = shard.layout === 'schema' ? `"${shard.name}"` : '"public"'
        await on.query(`DROP INDEX ${schema}."ev_by_kind"`)
      }
    })
  })
})
