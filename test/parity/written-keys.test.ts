import {
  ChildEntity,
  Column,
  CreateDateColumn,
  type DataSource,
  Entity,
  PrimaryColumn,
  TableInheritance,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

const shards = hash({ shards: 3 })

@Entity()
@Sharded(shards)
class Birth {
  @PrimaryColumn('int') id!: number
  @ShardKey() @CreateDateColumn({ type: 'timestamptz', precision: 0 }) at!: Date
  @Column('text', { default: '' }) note!: string
}

@Entity()
@Sharded(shards)
class Lent {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { default: 3 }) k!: number
  @Column('text', { default: '' }) note!: string
}

/** The way out for who wants to shard by class: a column beside the discriminator. */
@Entity()
@Sharded(shards)
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Vehicle {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') place!: string
  @Column('text', { default: '' }) note!: string
}

@ChildEntity()
class Car extends Vehicle {
  override place = 'car'
}

@ChildEntity()
class Boat extends Vehicle {
  override place = 'boat'
}

/** TypeORM never changes its key. */
@Entity()
@Sharded(shards, { onKeyChange: 'move' })
class Fixed {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column({ type: 'int', update: false }) k!: number
  @Column('text', { default: '' }) note!: string
}

const entities = [Birth, Lent, Vehicle, Car, Boat, Fixed]
const numbers = [1, 2, 3, 4, 5, 6, 7, 8]
/** Half a second is rounded up to the next one. */
const moment = (n: number) => new Date(n * 86_400_000 + 600)

async function expectPlaced(dataSource: DataSource): Promise<void> {
  if (!(dataSource instanceof ShardedDataSource)) return
  for (const { entity, misplaced } of await dataSource.verifyPlacement())
    expect([entity, misplaced]).toEqual([entity, 0])
}

describe('a shard key that TypeORM has a hand in', () => {
  onTargets({ entities, groups: ['birth', 'lent', 'vehicle', 'fixed'] }, (target) => {
    it('is a date of creation that the application sets', async () => {
      const { dataSource } = target
      const births = dataSource.getRepository(Birth)
      await births.insert(numbers.map((id) => ({ id, at: moment(id) })))
      await births.save(numbers.map((id) => ({ id: id + 10, at: moment(id) })))
      await births
        .createQueryBuilder()
        .insert()
        .values({ id: 21, at: moment(21) })
        .execute()
      await births.update({ id: 2 }, { note: 'updated' })
      const loaded = await births.findOneByOrFail({ id: 3 })
      loaded.note = 'saved'
      await births.save(loaded)
      await expectPlaced(dataSource)
      expect(await births.find({ where: { note: 'saved' } })).toEqual([
        { id: 3, at: new Date(3 * 86_400_000 + 1_000), note: 'saved' },
      ])
      expect(await births.count()).toBe(17)
      const withoutDate = births.insert({ id: 30 })
      if (target.shards > 0) await expect(withoutDate).rejects.toMatchObject({ code: 'KEY_MISSING' })
      else await withoutDate
    })

    it('is a column with a default that the application sets', async () => {
      const { dataSource } = target
      const lent = dataSource.getRepository(Lent)
      await lent.insert(numbers.map((id) => ({ id, k: id })))
      await lent.save(numbers.map((id) => ({ id: id + 10, k: id })))
      await expectPlaced(dataSource)
      expect(await lent.countBy({ k: 3 })).toBe(2)
      for (const write of [
        () => lent.insert({ id: 30 }),
        () => lent.save({ id: 31 }),
        () => lent.query('INSERT INTO "lent" ("id") VALUES (32)'),
        () => lent.query('INSERT INTO "lent" ("id", "k") VALUES (33, DEFAULT)'),
      ])
        if (target.shards > 0) await expect(write()).rejects.toMatchObject({ code: 'KEY_MISSING' })
        else await write()
    })

    it('is a column beside the discriminator that each class sets', async () => {
      const { dataSource } = target
      const cars = dataSource.getRepository(Car)
      const boats = dataSource.getRepository(Boat)
      await cars.insert([cars.create({ id: 1 }), cars.create({ id: 2 })])
      await boats.save(boats.create({ id: 3 }))
      await dataSource.getRepository(Vehicle).save([cars.create({ id: 4 }), boats.create({ id: 5 })])
      await boats.upsert(boats.create({ id: 3, note: 'again' }), ['id'])
      await expectPlaced(dataSource)
      const found = await dataSource.getRepository(Vehicle).find({ order: { id: 'ASC' } })
      expect(found.map((one) => [one.id, one.place, one.note, one.constructor])).toEqual([
        [1, 'car', '', Car],
        [2, 'car', '', Car],
        [3, 'boat', 'again', Boat],
        [4, 'car', '', Car],
        [5, 'boat', '', Boat],
      ])
    })

    it('is a column that TypeORM does not update', async () => {
      const { dataSource } = target
      const fixed = dataSource.getRepository(Fixed)
      await fixed.insert(numbers.map((id) => ({ id, k: id })))
      const loaded = await fixed.findBy({})
      for (const one of loaded) {
        one.k += 1
        one.note = 'saved'
      }
      // TypeORM would leave k as it is; with `move` the row would follow the entity.
      if (target.shards > 0) await expect(fixed.save(loaded)).rejects.toMatchObject({ code: 'KEY_CHANGED' })
      else await fixed.save(loaded)
      await fixed.updateAll({ note: 'saved' })
      await fixed.update({ id: 2 }, { k: 40, note: 'updated' })
      await fixed.upsert({ id: 5, k: 40, note: 'upserted' }, ['id'])
      await expect(fixed.update({ id: 2 }, { k: 40 })).rejects.toThrow('update values are not defined')
      await expect(fixed.increment({ id: 6 }, 'k', 3)).rejects.toThrow('update values are not defined')
      const notes = ['saved', 'updated', 'saved', 'saved', 'upserted', 'saved', 'saved', 'saved']
      expect(await fixed.find({ order: { id: 'ASC' } })).toEqual(
        numbers.map((id) => ({ id, k: id, note: notes[id - 1] })),
      )
      await expectPlaced(dataSource)
    })
  })
})
