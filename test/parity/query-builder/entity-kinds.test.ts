import {
  ChildEntity,
  Column,
  Entity,
  EntitySchema,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  TableInheritance,
  VirtualColumn,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../../src/index'
import { onTargets } from '../../support/targets'

/** Names that are not those of the properties, an order of its own, children in its table. */
@Entity({ name: 'people', orderBy: { name: 'DESC' } })
@TableInheritance({ column: { name: 'kind', type: 'varchar' } })
@Sharded(hash({ shards: 3 }), { group: 'person' })
class Person {
  @ShardKey()
  @PrimaryColumn('uuid', { name: 'person_id' })
  id!: string

  @Column('text', { name: 'full_name' })
  name!: string

  @Column('int', { name: 'how_old' })
  age!: number

  @OneToMany(
    () => Gadget,
    (gadget) => gadget.owner,
  )
  gadgets!: Relation<Gadget>[]
}

@ChildEntity()
class Employee extends Person {
  @Column('int', { nullable: true })
  salary!: number | null
}

@ChildEntity()
class Guest extends Person {
  @Column('text', { nullable: true })
  host!: string | null
}

@Entity('gadgets_of_people')
@Sharded({ colocatedWith: () => Person })
class Gadget {
  @PrimaryColumn('int', { name: 'gadget_id' })
  id!: number

  @ShardKey()
  @Column('uuid', { name: 'owner_id' })
  ownerId!: string

  @ManyToOne(
    () => Person,
    (person) => person.gadgets,
  )
  @JoinColumn({ name: 'owner_id' })
  owner!: Relation<Person>

  @Column('int')
  price!: number

  /** Computed by PostgreSQL. */
  @Column({ type: 'int', generatedType: 'STORED', asExpression: 'price * 2' })
  double!: number
}

/** Has a column that is a query of another table, which is named as in the entities. */
@Entity('counted')
@Sharded({ colocatedWith: () => Person })
class Counted {
  @ShardKey()
  @PrimaryColumn('uuid')
  id!: string

  @VirtualColumn({
    type: 'int',
    query: (alias) => `SELECT COUNT(*)::int FROM "gadgets_of_people" "x" WHERE "x"."owner_id" = ${alias}.id`,
  })
  gadgets!: number
}

interface Tag {
  id: number
  owner: string
  label: string
}

class TagRow implements Tag {
  id!: number
  owner!: string
  label!: string
}
Sharded({ colocatedWith: () => Person })(TagRow)
ShardKey()(TagRow.prototype, 'owner')

const TagSchema = new EntitySchema<Tag>({
  name: 'Tag',
  target: TagRow,
  tableName: 'tag',
  columns: {
    id: { type: 'int', primary: true },
    owner: { type: 'uuid' },
    label: { type: 'text' },
  },
})

const key = (n: number): string => `abcdef0${n}-0000-4000-8000-00000000000${n}`
const persons = [1, 2, 3, 4, 5, 6, 7, 8]

describe('query builders of other kinds of entities', () => {
  onTargets(
    {
      entities: [Person, Employee, Guest, Gadget, Counted, TagSchema],
      groups: ['person'],
      seed: async ({ manager }) => {
        await manager.insert(
          Employee,
          persons.filter((n) => n % 2 === 1).map((n) => ({ id: key(n), name: `p${n}`, age: n * 10, salary: n * 100 })),
        )
        await manager.insert(
          Guest,
          persons.filter((n) => n % 2 === 0).map((n) => ({ id: key(n), name: `p${n}`, age: n * 10, host: `h${n}` })),
        )
        await manager.insert(
          Gadget,
          persons.flatMap((n) =>
            Array.from({ length: n % 3 }, (_, k) => ({ id: n * 10 + k, ownerId: key(n), price: n + k })),
          ),
        )
        await manager.insert(
          Counted,
          persons.map((n) => ({ id: key(n) })),
        )
        await manager.insert(
          TagRow,
          persons.map((n) => ({ id: n, owner: key(n), label: n > 4 ? 'high' : 'low' })),
        )
      },
    },
    (target) => {
      const names = (rows: readonly { name: string }[]) => rows.map(({ name }) => name)
      const people = () => target.dataSource.getRepository(Person).createQueryBuilder('p')

      it('finds all kinds of one table, as their classes', async () => {
        const found = await people().orderBy('p.age').getMany()
        expect(names(found)).toEqual(['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8'])
        expect(found[0]).toBeInstanceOf(Employee)
        expect(found[1]).toBeInstanceOf(Guest)
        expect(found[0]).toMatchObject({ salary: 100 })
        expect(found[1]).toMatchObject({ host: 'h2' })
      })
      it('uses the order of the entity where it is given none', async () => {
        expect(names(await people().getMany())).toEqual(['p8', 'p7', 'p6', 'p5', 'p4', 'p3', 'p2', 'p1'])
        expect(names(await people().take(2).skip(1).getMany())).toEqual(['p7', 'p6'])
        expect(names(await people().orderBy().where('p.age = 30').getMany())).toEqual(['p3'])
      })
      it('finds one kind', async () => {
        const found = await target.dataSource
          .createQueryBuilder(Employee, 'e')
          .where('e.salary > 100')
          .orderBy('e.id')
          .getMany()
        expect(names(found)).toEqual(['p3', 'p5', 'p7'])
        expect(await target.dataSource.createQueryBuilder(Guest, 'g').getCount()).toBe(4)
        expect(
          await target.dataSource
            .createQueryBuilder(Guest, 'g')
            .where('g.id = :id', { id: key(1) })
            .getCount(),
        ).toBe(0)
      })
      it('finds by a uuid, however it is written', async () => {
        for (const id of [key(5), key(5).toUpperCase()])
          expect(names(await people().where('p.id = :id', { id }).getMany())).toEqual(['p5'])
        expect(
          names(
            await people()
              .whereInIds([key(2), key(7)])
              .getMany(),
          ),
        ).toEqual(['p7', 'p2'])
      })
      it('translates properties into columns', async () => {
        const rows = await people().select(['p.id', 'p.name']).where('p.age BETWEEN 20 AND 30').getRawMany()
        expect(rows).toEqual([
          { p_person_id: key(3), p_full_name: 'p3' },
          { p_person_id: key(2), p_full_name: 'p2' },
        ])
        const grouped = await people()
          .select('p.age / 50', 'half')
          .addSelect('COUNT(*)', 'n')
          .groupBy('half')
          .orderBy('half')
          .getRawMany()
        expect(grouped).toEqual([
          { half: 0, n: '4' },
          { half: 1, n: '4' },
        ])
      })
      it('joins children by columns of other names', async () => {
        const found = await people()
          .leftJoinAndSelect('p.gadgets', 'g')
          .where('g.price > 4')
          .orderBy('g.price', 'DESC')
          .addOrderBy('g.id')
          .getMany()
        expect(found.map(({ name, gadgets }) => [name, gadgets.map(({ id }) => id)])).toEqual([
          ['p8', [81, 80]],
          ['p7', [70]],
          ['p5', [51, 50]],
        ])
      })
      it('reads columns that PostgreSQL computes', async () => {
        const found = await target.dataSource
          .createQueryBuilder(Gadget, 'g')
          .where('g.double >= 16')
          .orderBy('g.double')
          .getMany()
        expect(found.map(({ id, double }) => [id, double])).toEqual([
          [80, 16],
          [81, 18],
        ])
      })
      it('reads virtual columns, which look into a table of the shard', async () => {
        const found = await target.dataSource.createQueryBuilder(Counted, 'c').orderBy('c.id').getMany()
        expect(found.map(({ gadgets }) => gadgets)).toEqual([1, 2, 0, 1, 2, 0, 1, 2])
        const one = await target.dataSource
          .createQueryBuilder(Counted, 'c')
          .where('c.id = :id', { id: key(5) })
          .getOneOrFail()
        expect(one).toEqual({ id: key(5), gadgets: 2 })
      })
      it('reads virtual columns by find options', async () => {
        const found = await target.dataSource.getRepository(Counted).find({ where: { id: key(5) } })
        expect(found).toEqual([{ id: key(5), gadgets: 2 }])
      })
      it('reads entities of schemas', async () => {
        const found = await target.dataSource
          .getRepository(TagRow)
          .createQueryBuilder('t')
          .where("t.label = 'high'")
          .orderBy('t.id')
          .getMany()
        expect(found.map(({ id }) => id)).toEqual([5, 6, 7, 8])
        const joined = await target.dataSource
          .createQueryBuilder(Person, 'p')
          .innerJoin(TagRow, 't', 't.owner = p.id')
          .select('t.label', 'label')
          .addSelect('MAX(p.age)', 'age')
          .groupBy('t.label')
          .orderBy('t.label')
          .getRawMany()
        expect(joined).toEqual([
          { label: 'high', age: 80 },
          { label: 'low', age: 40 },
        ])
      })
    },
  )
})
