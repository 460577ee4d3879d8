import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  type ValueTransformer,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

const asNumber: ValueTransformer = { to: (value: unknown) => value, from: Number }

/** What an object has when it was never loaded: `{ ...loaded }`, or JSON that comes back. */
abstract class Thing {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) note!: string
  @DeleteDateColumn() gone!: Date | null
}

@Entity()
@Sharded(hash({ shards: 16 }))
class Moment extends Thing {
  @ShardKey() @Column('timestamptz') key!: Date
}

@Entity()
@Sharded(hash({ shards: 16 }))
class Amount extends Thing {
  @ShardKey() @Column('numeric', { transformer: asNumber }) key!: number
}

@Entity()
@Sharded(hash({ shards: 16 }))
class Owned extends Thing {
  @ShardKey() @Column('int') key!: number
  @OneToMany(
    () => Part,
    (part) => part.owned,
    { cascade: true },
  )
  parts!: Relation<Part>[]
}

@Entity()
@Sharded({ colocatedWith: () => Owned })
class Part extends Thing {
  @ShardKey() @Column('int') key!: number
  @ManyToOne(
    () => Owned,
    (owned) => owned.parts,
  )
  @JoinColumn()
  owned!: Relation<Owned>
}

/** Its primary key may be an empty text. */
@Entity()
@Sharded(hash({ shards: 16 }))
class Named {
  @PrimaryColumn('text') id!: string
  @ShardKey() @Column('int') key!: number
  @Column('text', { default: '' }) note!: string
  @DeleteDateColumn() gone!: Date | null
}

const ids = [1, 2, 3, 4, 5, 6, 7, 8]

describe('objects that were never loaded', () => {
  const entities = [Moment, Amount, Owned, Part, Named]
  onTargets({ entities, groups: ['moment', 'amount', 'owned', 'named'] }, (target) => {
    describe.each([
      ['microseconds in a Date', Moment, (id: number) => `2024-01-01 00:00:00.${123450 + id}+00`],
      ['digits in a number', Amount, (id: number) => `${id}.10000000000000000000001`],
    ] as const)('whose key has more %s', (_name, entity, text) => {
      const things = () => target.dataSource.getRepository<Thing>(entity)
      const loaded = (id: number) => things().findOneOrFail({ where: { id }, withDeleted: true })
      const notes = async () => (await things().find({ order: { id: 'ASC' } })).map(({ id, note }) => `${id}${note}`)

      beforeEach(async () => {
        const { tablePath } = target.dataSource.getMetadata(entity)
        const table = tablePath.split('.').at(-1)
        for (const id of ids)
          await target.dataSource.query(`INSERT INTO ${table} (id, key) VALUES ($1, $2)`, [id, text(id)])
      })

      it('are saved over their rows', async () => {
        await things().save({ ...(await loaded(1)), note: 'a' })
        await things().save([
          { ...(await loaded(2)), note: 'b' },
          { ...(await loaded(3)), note: 'b' },
        ])
        await things().save(things().create({ ...(await loaded(4)), note: 'c' }))
        const again = await things().save({ ...(await loaded(5)), note: 'd' })
        again.note = 'e'
        await things().save(again)
        await things().save([await things().preload({ ...(await loaded(6)), note: 'f' })].flatMap((one) => one ?? []))
        expect(await notes()).toEqual(['1a', '2b', '3b', '4c', '5e', '6f', '7', '8'])
      })

      it('are removed, and recovered', async () => {
        await things().remove({ ...(await loaded(1)) })
        await things().softRemove({ ...(await loaded(2)) })
        await things().softRemove([{ ...(await loaded(3)) }, { ...(await loaded(4)) }])
        await things().recover({ ...(await loaded(4)) })
        expect(await notes()).toEqual(['4', '5', '6', '7', '8'])
        expect(await things().count({ withDeleted: true })).toBe(7)
      })
    })

    describe('with another shard key than their row', () => {
      const all = () => target.dataSource.getRepository(Owned)
      const parts = () => target.dataSource.getRepository(Part)
      const present = async () => (await all().find({ order: { id: 'ASC' } })).map(({ id }) => id)

      beforeEach(async () => {
        await all().insert(ids.map((id) => ({ id, key: id })))
      })

      it('are removed by the primary key', async () => {
        await all().remove({ id: 1, key: 77 } as Owned)
        await all().remove([{ id: 2, key: 77 } as Owned, { id: 3, key: 3 } as Owned])
        await all().remove(all().create({ id: 4, key: 78 }))
        await all().softRemove({ id: 5, key: 77 })
        await all().softDelete([6, 7])
        await all().recover({ id: 6, key: 77 })
        expect(await present()).toEqual([6, 8])
        expect(await all().countBy({ id: 1 })).toBe(0)
      })

      it('do not stand for their row afterwards', async () => {
        const object = { id: 5, key: elsewhere(5) ?? 77 }
        await all().softRemove(object)
        if (target.shards > 1) {
          await expect(all().save(object)).rejects.toMatchObject({ code: 'DUPLICATE_PRIMARY_KEY' })
          await expect(all().save(object, { listeners: false })).rejects.toMatchObject({
            code: 'DUPLICATE_PRIMARY_KEY',
          })
        }
        expect(await all().find({ where: { key: 5 }, withDeleted: true })).toHaveLength(1)
      })

      it('are refused where they hang on another shard', async () => {
        const key = elsewhere(1)
        if (key === undefined) return
        await all().insert({ id: 9, key })
        await parts().insert({ id: 90, key, owned: { id: 9 } })
        const repeated = { code: 'DUPLICATE_PRIMARY_KEY' }
        await expect(all().remove({ id: 1, key: 1, parts: [{ id: 90 }] } as Owned)).rejects.toMatchObject(repeated)
        await expect(all().softRemove({ id: 1, parts: [{ id: 90 }] })).rejects.toMatchObject(repeated)
        await expect(all().save({ id: 1, parts: [{ id: 90 }] })).rejects.toMatchObject(repeated)
        expect(await parts().find({ where: { id: 90 } })).toHaveLength(1)
        expect(await present()).toHaveLength(9)
      })

      /** A key of another shard; none where there is one shard. */
      const elsewhere = (key: number): number | undefined => {
        const { dataSource } = target
        if (!(dataSource instanceof ShardedDataSource)) return undefined
        const home = dataSource.locate(Owned, key).shard
        return [...Array(100).keys()].find((other) => dataSource.locate(Owned, other).shard !== home)
      }
    })

    it('may have an empty text in the primary key', async () => {
      const named = () => target.dataSource.getRepository(Named)
      await named().insert([
        { id: '', key: 3 },
        { id: 'a', key: 4 },
      ])
      expect(await named().preload({ id: '', note: 'p' })).toMatchObject({ key: 3, note: 'p' })
      expect(await named().preload({ id: '', key: 3, note: 'p' })).toMatchObject({ key: 3, note: 'p' })
      await named().save({ id: '', note: 's' })
      expect(await named().find({ order: { id: 'ASC' } })).toMatchObject([
        { id: '', key: 3, note: 's' },
        { id: 'a', key: 4, note: '' },
      ])
      await named().softRemove({ id: '' })
      expect(await named().count()).toBe(1)
      await named().recover({ id: '' })
      expect(await named().count()).toBe(2)
      await named().remove({ id: '' } as Named)
      expect(await named().find()).toMatchObject([{ id: 'a' }])
    })
  })
})
