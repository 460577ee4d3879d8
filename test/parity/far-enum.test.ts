import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Zoo {
  @ShardKey() @PrimaryColumn('int') id!: number
  @OneToMany(
    () => House,
    (house) => house.zoo,
  )
  houses!: Relation<House>[]
}

@Entity()
@Sharded({ colocatedWith: () => Zoo })
class House {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') zooId!: number
  @ManyToOne(
    () => Zoo,
    (zoo) => zoo.houses,
  )
  @JoinColumn({ name: 'zooId' })
  zoo!: Relation<Zoo>
  @OneToMany(
    () => Animal,
    (animal) => animal.house,
  )
  animals!: Relation<Animal>[]
}

/** In the schema of each shard its enum is a type of its own. */
@Entity()
@Sharded({ colocatedWith: () => Zoo })
class Animal {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') zooId!: number
  @Column('int') houseId!: number
  @ManyToOne(
    () => House,
    (house) => house.animals,
  )
  @JoinColumn({ name: 'houseId' })
  house!: Relation<House>
  @Column('enum', { enum: ['bird', 'fish', 'cat'] }) kind!: string
}

const kinds = ['cat', 'bird', 'fish']

describe('an enum two relations away', () => {
  onTargets(
    {
      entities: [Zoo, House, Animal],
      groups: ['zoo'],
      seed: async (dataSource) => {
        const ids = [1, 2, 3, 4, 5, 6]
        await dataSource.manager.insert(
          Zoo,
          ids.map((id) => ({ id })),
        )
        await dataSource.manager.insert(
          House,
          ids.map((id) => ({ id: 10 + id, zooId: id })),
        )
        await dataSource.manager.insert(
          Animal,
          ids.map((id) => ({ id: 20 + id, zooId: id, houseId: 10 + id, kind: kinds[id % 3] ?? '' })),
        )
      },
    },
    (target) => {
      const zoos = () => target.dataSource.getRepository(Zoo)
      const where = { houses: { animals: { kind: 'cat' } } }

      it('is a condition', async () => {
        expect((await zoos().find({ where, order: { id: 'ASC' } })).map(({ id }) => id)).toEqual([3, 6])
        expect((await zoos().find({ where, order: { id: 'ASC' }, take: 1 })).map(({ id }) => id)).toEqual([3])
        expect(await zoos().count({ where })).toBe(2)
        expect(await zoos().exists({ where })).toBe(true)
        expect((await zoos().findAndCount({ where, take: 1 }))[1]).toBe(2)
      })

      it('is an order', async () => {
        const found = await zoos().find({
          relations: { houses: { animals: true } },
          order: { houses: { animals: { kind: 'ASC' } }, id: 'ASC' },
        })
        expect(found.map(({ houses }) => houses[0]?.animals[0]?.kind)).toEqual([
          'bird',
          'bird',
          'fish',
          'fish',
          'cat',
          'cat',
        ])
      })
    },
  )
})
