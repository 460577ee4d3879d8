import {
  ChildEntity,
  Column,
  Entity,
  EntitySchema,
  In,
  MoreThan,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey, shardedSchema } from '../../src/index'
import { onTargets } from '../support/targets'

interface Planet {
  code: string
  system: number
  mass: number
}

const PlanetSchema = shardedSchema(
  new EntitySchema<Planet>({
    name: 'Planet',
    columns: {
      code: { type: 'varchar', primary: true },
      system: { type: 'int', primary: true },
      mass: { type: 'double precision', default: 1 },
    },
  }),
  { by: hash({ shards: 3 }), shardKey: ['system'] },
)

abstract class Owned {
  @ShardKey()
  @Column('bigint')
  tenantId!: string
}

@Entity()
@Sharded(hash({ shards: 3 }), { group: 'tenant' })
class Paper extends Owned {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @Column()
  title!: string
}

@Entity()
@Sharded(hash({ shards: 3 }))
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Shape {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column()
  colour!: string
}

@ChildEntity()
class Circle extends Shape {
  @Column('int')
  radius!: number
}

@ChildEntity()
class Square extends Shape {
  @Column('int')
  side!: number
}

class Address {
  @ShardKey()
  @Column()
  region!: string

  @Column()
  city!: string
}

@Entity()
@Sharded(hash({ shards: 3 }))
class House {
  @PrimaryColumn('int')
  id!: number

  @Column(() => Address)
  address!: Address
}

const reversed = {
  to: (value: string): string => [...value].reverse().join(''),
  from: (value: string): string => [...value].reverse().join(''),
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Secret {
  @ShardKey()
  @PrimaryColumn('varchar', { transformer: reversed })
  code!: string

  @Column('int')
  level!: number
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Token {
  @ShardKey()
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @Column('int')
  value!: number
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Seat {
  @ShardKey()
  @PrimaryColumn('int')
  hall!: number

  @ShardKey()
  @PrimaryColumn('date')
  day!: string

  @PrimaryColumn()
  place!: string

  @Column('int', { default: 0 })
  price!: number
}

const entities = [PlanetSchema, Paper, Shape, Circle, Square, House, Secret, Token, Seat]
const groups = ['planet', 'tenant', 'shape', 'house', 'secret', 'token', 'seat']
const numbers = [1, 2, 3, 4, 5, 6, 7, 8]

describe('kinds of entities', () => {
  onTargets({ entities, groups }, (target) => {
    it('EntitySchema', async () => {
      const planets = target.dataSource.getRepository(PlanetSchema)
      await planets.save(numbers.map((system) => ({ code: `p${system}`, system, mass: system / 2 })))
      expect(await planets.findOneBy({ system: 3 })).toEqual({ code: 'p3', system: 3, mass: 1.5 })
      expect(await planets.sum('mass')).toBe(18)
      expect(await planets.average('mass')).toBe(2.25)
      expect((await planets.find({ order: { mass: 'DESC' }, take: 2 })).map(({ code }) => code)).toEqual(['p8', 'p7'])
      await planets.upsert({ code: 'p3', system: 3, mass: 9 }, ['code', 'system'])
      expect(await target.dataSource.manager.findOneBy<Planet>('Planet', { code: 'p3' })).toMatchObject({ mass: 9 })
      expect((await planets.delete({ code: In(['p1', 'p2']) })).affected).toBe(2)
    })

    it('a shard key of a base class', async () => {
      const papers = target.dataSource.getRepository(Paper)
      const saved = await papers.save(papers.create(numbers.map((n) => ({ tenantId: String(n), title: `t${n}` }))))
      expect(saved.every((paper) => paper instanceof Paper)).toBe(true)
      expect(await papers.findOneByOrFail({ tenantId: '4' })).toEqual(saved[3])
      expect(await papers.findOneByOrFail({ title: 't5' })).toEqual(saved[4])
      await papers.remove(saved.slice(2))
      expect(await papers.count()).toBe(2)
    })

    it('single-table inheritance, through the base and through each class', async () => {
      const { manager } = target.dataSource
      await manager.save(
        Circle,
        numbers.slice(0, 4).map((id) => ({ id, colour: 'red', radius: id * 10 })),
      )
      await manager.save(
        Square,
        numbers.slice(4).map((id) => ({ id, colour: 'red', side: id })),
      )
      const shapes = await manager.find(Shape, { order: { id: 'ASC' } })
      expect(shapes.map((shape) => shape.constructor)).toEqual([
        ...[1, 2, 3, 4].map(() => Circle),
        ...[5, 6, 7, 8].map(() => Square),
      ])
      expect(shapes[2]).toEqual({ id: 3, colour: 'red', radius: 30 })
      expect(shapes[7]).toEqual({ id: 8, colour: 'red', side: 8 })
      expect([await manager.count(Circle), await manager.count(Shape)]).toEqual([4, 8])
      expect(await manager.findOneBy(Circle, { id: 5 })).toBeNull()
      expect(await manager.findBy(Square, { side: MoreThan(6) })).toHaveLength(2)
      expect((await manager.update(Circle, { colour: 'red' }, { colour: 'blue' })).affected).toBe(4)
      expect(await manager.sum(Square, 'side')).toBe(26)
      expect(
        (await manager.find(Shape, { order: { colour: 'ASC', id: 'DESC' }, take: 5 })).map(({ id }) => id),
      ).toEqual([4, 3, 2, 1, 8])
      const square = await manager.findOneByOrFail(Shape, { id: 6 })
      square.colour = 'green'
      await manager.save(square)
      expect(await manager.findOneBy(Square, { id: 6 })).toMatchObject({ colour: 'green', side: 6 })
      expect(await manager.save(manager.create(Circle, { id: 20, colour: 'x', radius: 1 }))).toBeInstanceOf(Circle)
    })

    it('a shard key in an embedded class', async () => {
      const houses = target.dataSource.getRepository(House)
      const regions = ['north', 'east', 'south', 'west']
      await houses.save(numbers.map((id) => ({ id, address: { region: regions[id % 4] ?? '', city: `c${id}` } })))
      expect(
        (await houses.find({ where: { address: { region: 'east' } }, order: { id: 'ASC' } })).map(({ id }) => id),
      ).toEqual([1, 5])
      expect(await houses.countBy({ address: { region: In(['east', 'west']) } })).toBe(4)
      expect(await houses.findOneByOrFail({ id: 2 })).toEqual({ id: 2, address: { region: 'south', city: 'c2' } })
      expect((await houses.find({ order: { address: { city: 'DESC' } }, take: 3 })).map(({ id }) => id)).toEqual([
        8, 7, 6,
      ])
      const house = await houses.findOneByOrFail({ id: 3 })
      house.address.city = 'moved'
      await houses.save(house)
      expect((await houses.update({ address: { region: 'north' } }, { address: { city: 'n' } })).affected).toBe(2)
      expect(await houses.countBy({ address: { city: In(['moved', 'n']) } })).toBe(3)
    })

    it('a shard key with a transformer', async () => {
      const secrets = target.dataSource.getRepository(Secret)
      const codes = ['abc', 'bcd', 'cde', 'def', 'efg', 'fgh']
      const saved = await secrets.save(codes.map((code, level) => ({ code, level })))
      expect(saved.map(({ code }) => code)).toEqual(codes)
      for (const code of codes) expect(await secrets.findOneBy({ code })).toMatchObject({ code })
      // TypeORM transforms the values inside the operator that it is given: a new one each time.
      const where = () => ({ code: In(['abc', 'fgh', 'cde']) })
      expect(await secrets.countBy(where())).toBe(3)
      expect((await secrets.find({ where: where(), order: { code: 'ASC' } })).map(({ code }) => code)).toEqual([
        'abc',
        'cde',
        'fgh',
      ])
      expect((await secrets.update({ code: 'def' }, { level: 9 })).affected).toBe(1)
      expect((await secrets.delete(['abc', 'bcd'])).affected).toBe(2)
      await secrets.remove(await secrets.findBy({ code: 'efg' }))
      expect((await secrets.find({ order: { level: 'ASC' } })).map(({ level }) => level)).toEqual([2, 5, 9])
    })

    it('a generated uuid as the shard key', async () => {
      const tokens = target.dataSource.getRepository(Token)
      const saved = await tokens.save(tokens.create(numbers.map((value) => ({ value }))))
      for (const { id, value } of saved) expect(await tokens.findOneByOrFail({ id })).toEqual({ id, value })
      const { identifiers } = await tokens.insert([{ value: 10 }, { value: 11 }])
      expect((await tokens.findOneByOrFail({ value: 11 })).id).toBe(identifiers[1]?.['id'])
      expect(await tokens.findOneBy({ id: saved[0]?.id.toUpperCase() ?? '' })).toEqual(saved[0])
      expect(await tokens.count()).toBe(10)
    })

    it('a shard key of two columns', async () => {
      const seats = target.dataSource.getRepository(Seat)
      const days = ['2024-01-01', '2024-02-29']
      await seats.save(numbers.flatMap((hall) => days.map((day) => ({ hall, day, place: 'a', price: hall }))))
      expect(await seats.findOneBy({ hall: 3, day: '2024-02-29' })).toEqual({
        hall: 3,
        day: '2024-02-29',
        place: 'a',
        price: 3,
      })
      expect(await seats.countBy({ day: '2024-01-01' })).toBe(8)
      expect(await seats.countBy({ hall: In([1, 2]), day: In(days) })).toBe(4)
      expect(await seats.countBy([{ hall: 1, day: '2024-01-01' }, { hall: 8 }])).toBe(3)
      await seats.save({ hall: 3, day: '2024-02-29', place: 'a', price: 33 })
      expect(await seats.count()).toBe(16)
      expect(await seats.maximum('price')).toBe(33)
      expect((await seats.find({ order: { price: 'DESC', day: 'ASC' }, take: 2 })).map(({ price }) => price)).toEqual([
        33, 8,
      ])
    })

    it.runIf(target.shards > 1)('lie on the shards of their keys', () => {
      if (!(target.dataSource instanceof ShardedDataSource)) throw new Error('It is sharded.')
      const { dataSource } = target
      for (const entity of ['Planet', Paper, Shape, Secret] as const) {
        const shards = new Set(Array.from({ length: 200 }, (_, key) => dataSource.locate(entity, String(key)).shard))
        expect(shards.size).toBe(target.shards)
      }
      expect(dataSource.locate(Circle, 4)).toEqual(dataSource.locate(Shape, 4))
      expect(dataSource.locate(Seat, [1, '2024-01-01'])).toEqual(
        dataSource.locate(Seat, { hall: 1, day: '2024-01-01' }),
      )
    })
  })
})
