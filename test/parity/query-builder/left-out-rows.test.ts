import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn, Unique, VersionColumn } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../../src/index'
import { onTargets } from '../../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Seat {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('varchar', { length: 20 })
  label!: string

  @Column({ type: 'enum', enum: ['low', 'high'], default: 'low' })
  kind!: string

  @Column('int', { default: 5 })
  rows!: number

  @VersionColumn()
  version!: number
}

/** Its primary key comes from the database; what conflicts is another value. */
@Entity()
@Sharded(hash({ shards: 3 }))
@Unique(['room', 'code'])
class Door {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @Column('int')
  room!: number

  @Column('numeric', { precision: 6, scale: 1 })
  code!: string

  @Column('int', { nullable: true })
  width!: number | null

  @Column('int', { default: 4 })
  height!: number
}

/** Its primary key is not in its shard key: what conflicts may lie on another shard. */
@Entity()
@Sharded(hash({ shards: 3 }))
class Berth {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  ship!: number
}

/** Many, so that each shard of each target has some, and every third left out. */
const ids = Array.from({ length: 24 }, (_, index) => (index * 7) % 24)
const isThere = (id: number) => id % 3 === 0

describe('rows that an insert leaves out', () => {
  onTargets({ entities: [Seat, Door, Berth], groups: ['seat', 'door', 'berth'] }, (target) => {
    const insert = () => target.dataSource.createQueryBuilder().insert()
    const seats = () => ids.map((id) => ({ id, label: `new ${id}`, kind: 'high' }))
    const left = ids.filter((id) => !isThere(id))

    beforeEach(async () => {
      const old = ids.filter(isThere)
      await target.dataSource.getRepository(Seat).insert(old.map((id) => ({ id, label: `old ${id}`, rows: 9 })))
      await target.dataSource.getRepository(Door).insert(old.map((room) => ({ room, code: '1.5', width: 1 })))
    })

    it('gives the rows that it inserted in the order of the input', async () => {
      const { raw } = await insert().into(Seat).values(seats()).orIgnore().returning(['id', 'label']).execute()
      expect(raw).toEqual(left.map((id) => ({ id, label: `new ${id}`, kind: 'high', rows: 5, version: 1 })))
    })

    it('gives them without a hole where rows conflict under another shard key', async () => {
      await target.dataSource.getRepository(Berth).insert({ id: 0, ship: 0 })
      for (const ship of ids) {
        const values = [
          { id: 0, ship },
          { id: 100 + ship, ship: 0 },
        ]
        const { raw } = await insert().into(Berth).values(values).orIgnore().returning(['id']).execute()
        expect(raw).toStrictEqual([{ id: 100 + ship }])
      }
    })

    it('gives them by what does not tell one from another', async () => {
      const { raw } = await insert()
        .into(Seat)
        .values(seats())
        .orIgnore()
        .returning('rows')
        .updateEntity(false)
        .execute()
      expect(raw).toEqual(left.map(() => ({ rows: 5 })))
    })

    it('fills objects, maps and identifiers as TypeORM does, which takes rows for those of the first objects', async () => {
      const objects = ids.map((id) => ({ id, label: () => `'label ' || ${id}`, rows: id }))
      const result = await insert().into(Seat).values(objects).orIgnore().returning(['label']).execute()
      const returned = left.map((id) => ({ label: `label ${id}`, kind: 'low', rows: id, version: 1 }))
      expect(result.raw).toEqual(returned)
      expect(result.identifiers).toEqual(ids.map((id) => ({ id })))
      expect(result.generatedMaps).toEqual(ids.map((_, index) => returned[index] ?? {}))
      expect(objects.map(({ id, rows }) => [id, rows])).toEqual(
        ids.map((id, index) => [id, returned[index]?.rows ?? id]),
      )
    })

    it('knows rows of which none of the given columns is as it is stored', async () => {
      const doors = ids.map((room) => ({ room, code: () => `1.49 + ${room % 2}`, width: 8 }))
      const { raw } = await insert().into(Door).values(doors).orIgnore().returning(['room', 'code']).execute()
      const inserted = ids.filter((room) => room % 2 === 1 || !isThere(room))
      expect(raw.map(({ room, code }: Door) => [room, code])).toEqual(
        inserted.map((room) => [room, room % 2 === 1 ? '2.5' : '1.5']),
      )
    })

    it('leaves out the second of two that are alike', async () => {
      const doors = ids.flatMap((room) => [1, 2].map(() => ({ room, code: '3.0', width: null })))
      const { raw } = await insert().into(Door).values(doors).orIgnore().returning(['room', 'width']).execute()
      expect(raw.map(({ room, width, height }: Door) => [room, width, height])).toEqual(
        ids.map((room) => [room, null, 4]),
      )
    })

    it('gives those that an update would change', async () => {
      const values = ids.map((id) => ({ id, label: id % 2 === 0 ? `old ${id}` : `new ${id}`, rows: 9 }))
      const changing = values.filter(({ id }) => !isThere(id) || id % 2 === 1).map(({ id, label }) => [id, label])
      const { raw } = await insert()
        .into(Seat)
        .values(values)
        .orUpdate(['label'], ['id'], { skipUpdateIfNoValuesChanged: true })
        .returning(['id', 'label', 'rows'])
        .execute()
      expect(raw.map(({ id, label }: Seat) => [id, label])).toEqual(changing)
    })

    it('does the same for an upsert', async () => {
      const objects = ids.map((id) => ({ id, label: id % 2 === 0 ? `old ${id}` : `new ${id}` }))
      const written = ids.filter((id) => !isThere(id) || id % 2 === 1)
      const seatsOf = target.dataSource.getRepository(Seat)
      const result = await seatsOf.upsert(objects, { conflictPaths: ['id'], skipUpdateIfNoValuesChanged: true })
      const returned = written.map((id) => ({ kind: 'low', rows: isThere(id) ? 9 : 5, version: 1 }))
      expect(result.raw).toEqual(returned)
      expect(result.identifiers).toEqual(ids.map((id) => ({ id })))
      expect(result.generatedMaps).toEqual(ids.map((_, index) => returned[index] ?? {}))
      expect(objects.map((one) => ('rows' in one ? one.rows : 0))).toEqual(
        ids.map((_, index) => returned[index]?.rows ?? 0),
      )
      expect((await seatsOf.find({ order: { id: 'ASC' } })).map(({ label }) => label)).toEqual(
        [...ids].sort((a, b) => a - b).map((id) => `${id % 2 === 0 ? 'old' : 'new'} ${id}`),
      )
    })

    it('does so of a statement, whose values are of all kinds', async () => {
      const values = ids.map(
        (id) => `(${id}, ${id % 2 === 0 ? `'new'` : `upper('new')`}, ${id % 4 === 0 ? 'DEFAULT' : `'high'`}, 1)`,
      )
      const rows = await target.dataSource.query(
        `INSERT INTO seat (id, label, kind, version) VALUES ${values.join(', ')} ON CONFLICT DO NOTHING RETURNING *`,
      )
      expect(rows).toEqual(
        left.map((id) => ({
          id,
          label: id % 2 === 0 ? 'new' : 'NEW',
          kind: id % 4 === 0 ? 'low' : 'high',
          rows: 5,
          version: 1,
        })),
      )
    })
  })
})
