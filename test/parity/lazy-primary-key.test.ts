import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, QueryFailedError } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Field {
  @ShardKey() @PrimaryColumn('int') id!: number
  @OneToMany(
    () => Crop,
    (crop) => crop.field,
  )
  crops!: Promise<Crop[]>
}

@Entity()
@Sharded({ colocatedWith: () => Field })
class Plant {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn('int') fieldId!: number
}

/** Its primary key is that of its relations, which are lazy. */
@Entity()
@Sharded({ colocatedWith: () => Field })
class Crop {
  @ShardKey() @PrimaryColumn('int') fieldId!: number
  @PrimaryColumn('int') plantId!: number
  @ManyToOne(
    () => Field,
    (field) => field.crops,
  )
  @JoinColumn({ name: 'fieldId' })
  field!: Promise<Field>
  @ManyToOne(() => Plant)
  @JoinColumn([
    { name: 'plantId', referencedColumnName: 'id' },
    { name: 'fieldId', referencedColumnName: 'fieldId' },
  ])
  plant!: Promise<Plant>
  @Column('int', { default: 0 }) weight!: number
}

describe('a composite primary key of lazy relations', () => {
  onTargets({ entities: [Field, Plant, Crop], groups: ['field'] }, (target) => {
    const crops = () => target.dataSource.getRepository(Crop)
    const ids = [1, 2, 3, 4]

    beforeEach(async () => {
      await target.dataSource.manager.insert(
        Field,
        ids.map((id) => ({ id })),
      )
      await target.dataSource.manager.insert(
        Plant,
        ids.map((id) => ({ id: 10 + id, fieldId: id })),
      )
    })

    const make = async (id: number): Promise<Crop> => {
      const field = await target.dataSource.manager.findOneByOrFail(Field, { id })
      const plant = await target.dataSource.manager.findOneByOrFail(Plant, { id: 10 + id })
      const crop = new Crop()
      crop.field = Promise.resolve(field)
      crop.plant = Promise.resolve(plant)
      return crop
    }

    it('is saved, found, changed and removed', async () => {
      const made: Crop[] = []
      for (const id of ids) made.push(await make(id))
      await crops().save(made)
      expect(await crops().count()).toBe(4)
      const found = await crops().find({ order: { fieldId: 'ASC' }, relations: { plant: true } })
      expect(found.map(({ fieldId, plantId }) => [fieldId, plantId])).toEqual(ids.map((id) => [id, 10 + id]))
      expect((await found[1]?.plant)?.id).toBe(12)
      expect((await crops().find({ take: 2, order: { plantId: 'DESC' }, relations: { field: true } })).length).toBe(2)
      for (const one of found) one.weight = 3
      await crops().save(found)
      expect(await crops().countBy({ weight: 3 })).toBe(4)
      const [first] = found
      if (first) await crops().remove(first)
      expect(await crops().count()).toBe(3)
    })

    it('of a row that is there is refused, as TypeORM inserts it', async () => {
      await crops().save(await make(1))
      await expect(crops().save(await make(1))).rejects.toThrow(QueryFailedError)
    })
  })
})
