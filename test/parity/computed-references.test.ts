import { Column, Entity, ManyToOne, OneToMany, PrimaryColumn, type Relation, VirtualColumn } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

/** Of no group: on the home node only. */
@Entity()
class Setting {
  @PrimaryColumn('int') id!: number
  @Column('int') land!: number
}

@Entity()
@ReferenceTable()
class Land {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'land' }) name!: string
  @VirtualColumn({
    type: 'int',
    query: (alias) => `SELECT count(*)::int FROM "setting" s WHERE s."land" = ${alias}."id"`,
  })
  settings!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Person {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'person' }) name!: string
  @ManyToOne(() => Land, { cascade: true }) land!: Relation<Land> | null
  @OneToMany(
    () => Pet,
    (pet) => pet.owner,
    { cascade: true },
  )
  pets!: Relation<Pet>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Pet {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Person,
    (person) => person.pets,
  )
  owner!: Relation<Person> | null
  @ManyToOne(() => Land, { eager: true, cascade: true }) land!: Relation<Land> | null
}

/** On every shard and node. */
const ids = [1, 2, 3, 4, 5, 6, 7, 8]

describe('a reference table with a column that a query over an unsharded table computes', () => {
  onTargets({ entities: [Setting, Land, Person, Pet], groups: ['person', 'pet'] }, (target) => {
    const manager = () => target.dataSource.manager
    const seed = async () => {
      await manager().save(Setting, [
        { id: 1, land: 1 },
        { id: 2, land: 1 },
        { id: 3, land: 2 },
      ])
      await manager().save(
        Land,
        ids.map((id) => ({ id })),
      )
      await manager().save(
        Person,
        ids.map((id) => ({ id, land: { id } })),
      )
      await manager().save(
        Pet,
        ids.map((id) => ({ id, land: { id }, owner: { id: 9 - id } })),
      )
    }
    const settings = (id: number) => (id === 1 ? 2 : id === 2 ? 1 : 0)
    const land = (id: number) => ({ id, name: 'land', settings: settings(id) })
    const order = { id: 'ASC' as const }

    it('is read by itself', async () => {
      await seed()
      expect(await manager().find(Land, { order })).toEqual(ids.map(land))
      expect(await manager().createQueryBuilder(Land, 'l').orderBy('l.id').getMany()).toEqual(ids.map(land))
    })

    it.each(['join', 'query'] as const)('is read with what refers to it, by %s', async (relationLoadStrategy) => {
      await seed()
      const relations = { land: true }
      for (const id of ids) {
        const person = await manager().findOneOrFail(Person, { where: { id }, relations, relationLoadStrategy })
        expect(person.land).toEqual(land(id))
        expect((await manager().findOneByOrFail(Pet, { id })).land).toEqual(land(id))
      }
      const people = await manager().find(Person, { relations, order, relationLoadStrategy })
      expect(people.map((person) => person.land)).toEqual(ids.map(land))
      const owners = await manager().find(Pet, { relations: { owner: { land: true } }, order, relationLoadStrategy })
      expect(owners.map(({ owner }) => owner?.land)).toEqual(ids.map((id) => land(9 - id)))
    })

    it('is read by a builder', async () => {
      await seed()
      for (const id of ids) {
        const builder = manager().createQueryBuilder(Person, 'p').leftJoinAndSelect('p.land', 'l')
        expect((await builder.where('p.id = :id', { id }).getOneOrFail()).land).toEqual(land(id))
      }
      const builder = manager().createQueryBuilder(Person, 'p').leftJoinAndSelect('p.land', 'l').orderBy('p.id')
      expect((await builder.getMany()).map((person) => person.land)).toEqual(ids.map(land))
    })

    it('is written by a cascade', async () => {
      await seed()
      for (const id of ids) {
        const person = await manager().findOneOrFail(Person, { where: { id }, relations: { land: true } })
        if (person.land) person.land.name = 'changed'
        await manager().save(Object.assign(person, { name: 'changed' }))
        await manager().save(Person, { id: id + 10, land: { id: id + 10 } })
        await manager().save(Pet, { id: id + 10, land: { id: id + 10, name: 'again' }, owner: { id } })
      }
      const lands = await manager().find(Land, { order })
      expect(lands.map(({ name }) => name)).toEqual([...ids.map(() => 'changed'), ...ids.map(() => 'again')])
    })

    it('is preloaded, and read in a transaction', async () => {
      await seed()
      await manager().transaction(async (inner) => {
        await inner.save(Setting, { id: 4, land: 3 })
        for (const id of ids) {
          const loaded = await inner.preload(Person, { id, name: 'preloaded', land: { id } })
          expect(loaded?.land).toMatchObject({ id, name: 'land' })
        }
        const person = await inner.findOneOrFail(Person, { where: { id: 3 }, relations: { land: true } })
        expect(person.land).toEqual({ id: 3, name: 'land', settings: 1 })
      })
    })
  })
})
