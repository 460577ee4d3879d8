import {
  ChildEntity,
  Column,
  Entity,
  EntitySchema,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  type Relation,
  TableInheritance,
} from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  GlobalUnique,
  hash,
  LookupIndex,
  Sharded,
  ShardedDataSource,
  ShardKey,
  shardedSchema,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

class Contact {
  @GlobalUnique()
  @Column('varchar', { nullable: true })
  phone!: string | null
}

abstract class Named {
  @GlobalUnique('one_name')
  @Column('varchar', { nullable: true })
  name!: string | null
}

@Entity()
@Sharded(hash({ shards: 3 }))
@TableInheritance({ column: { name: 'kind', type: 'varchar' } })
class Party extends Named {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column(() => Contact)
  contact!: Contact
}

@ChildEntity()
class Firm extends Party {
  @LookupIndex()
  @Column('uuid', { nullable: true })
  register!: string | null
}

interface Coupon {
  id: number
  code: string
}

const CouponSchema = shardedSchema(
  new EntitySchema<Coupon>({
    name: 'Coupon',
    columns: { id: { type: 'int', primary: true }, code: { type: 'varchar' } },
  }),
  { by: hash({ shards: 3 }), shardKey: ['id'], lookups: [{ properties: ['code'], unique: true, name: 'one_code' }] },
)

@Entity()
class Plain {
  @PrimaryColumn('int')
  id!: number

  @GlobalUnique()
  @Column()
  code!: string
}

@Entity()
@Sharded(hash({ shards: 2 }))
class OfJson {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @LookupIndex()
  @Column('jsonb')
  code!: object
}

@Entity()
@Sharded(hash({ shards: 2 }))
@GlobalUnique(['id', 'code'])
class OfKey {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column()
  code!: string
}

@Entity()
@Sharded(hash({ shards: 2 }))
@LookupIndex(['nothing'])
class OfNothing {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
@GlobalUnique()
class OfNone {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Row {
  @PrimaryColumn('int')
  number!: number

  @ShardKey()
  @PrimaryColumn('int')
  hallId!: number
}

/** The relation has two columns, and one of them is the shard key. */
@Entity()
@Sharded({ colocatedWith: () => Row })
@GlobalUnique(['row'])
class OfRelation {
  @PrimaryColumn('int')
  id!: number

  @Column('int')
  rowNumber!: number

  @ShardKey()
  @Column('int')
  hallId!: number

  @ManyToOne(() => Row)
  @JoinColumn([
    { name: 'rowNumber', referencedColumnName: 'number' },
    { name: 'hallId', referencedColumnName: 'hallId' },
  ])
  row!: Relation<Row>
}

/** Cut, the names of what notes the changes of two shards' tables would be one, and a taken value get by. */
@Entity('guest_of_a_hotel_whose_name_fills_a_line_of_text')
@Sharded(hash({ shards: 2 }), { group: 'guest' })
class OfLongName {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @GlobalUnique('one_email')
  @Column('varchar')
  email!: string
}

describe('declarations of lookups', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource | undefined
  const open = async (entities: unknown[], layout: 'schema' | 'table' = 'schema') => {
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    dataSource = new ShardedDataSource({ type: 'postgres', entities: entities as never, nodes, layout })
    return dataSource.initialize()
  }
  beforeAll(async () => {
    databases = await createDatabases(2)
  })
  afterEach(async () => {
    if (dataSource?.isInitialized) await dataSource.destroy()
  })
  afterAll(() => databases.drop())

  it.each([
    [Plain, '@GlobalUnique of Plain (code) is not sharded'],
    [OfJson, '@LookupIndex of OfJson (code) needs code, whose values of type jsonb'],
    [OfKey, '@GlobalUnique of OfKey (id, code) holds the whole shard key'],
    [OfNothing, '@LookupIndex of OfNothing (nothing) names "nothing", which is no column'],
    [OfNone, '@GlobalUnique of OfNone () lists no property'],
  ])('that say nothing sensible are refused: %o', async (entity, message) => {
    const error = await open([entity]).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'LOOKUP_INVALID', message: expect.stringContaining(message) })
  })

  it('mean all columns of a relation that they list', async () => {
    const error = await open([Row, OfRelation]).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'LOOKUP_INVALID',
      message: expect.stringContaining('@GlobalUnique of OfRelation (row) holds the whole shard key'),
    })
  })

  it('that need a longer name than PostgreSQL has are refused', async () => {
    const error = await open([OfLongName], 'table').catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'LOOKUP_INVALID',
      message: expect.stringContaining('"guest_of_a_hotel_whose_name_fills_a_line_of_text_lookup_capture_00"'),
    })
  })

  it.each(['schema', 'table'] as const)(
    'hold in embedded, base and child classes and for entity schemas, in the layout %s',
    async (layout) => {
      const sharded = await open([Party, Firm, CouponSchema], layout)
      await sharded.synchronize()
      const register = '6f1f3f6e-6a0e-4a3e-9d2c-0d8a6e1c2b3a'
      await sharded.manager.save(Firm, { id: 1, name: 'a', contact: { phone: '1' }, register })
      await sharded.manager.save(Party, { id: 2, name: 'b', contact: { phone: '2' } })
      const taken = (constraint: unknown, detail: string) => ({ code: '23505', constraint, detail })
      await expect(sharded.manager.insert(Party, { id: 3, name: 'a' })).rejects.toMatchObject(
        taken('one_name', 'Key (name)=(a) already exists.'),
      )
      await expect(sharded.manager.insert(Firm, { id: 3, contact: { phone: '2' } })).rejects.toMatchObject(
        taken(expect.any(String), 'Key ("contactPhone")=(2) already exists.'),
      )
      await sharded.manager.insert('Coupon', { id: 1, code: 'x' })
      await expect(sharded.manager.insert('Coupon', { id: 2, code: 'x' })).rejects.toMatchObject(
        taken('one_code', 'Key (code)=(x) already exists.'),
      )
      const plan = await sharded.getRepository(Firm).explain({ where: { register: register.toUpperCase() } })
      expect(plan.shards).toEqual([sharded.locate(Firm, 1).shard])
      expect(await sharded.getRepository(Firm).findOneBy({ contact: { phone: '1' } })).toMatchObject({ id: 1 })
      expect(await sharded.getRepository(Party).findOneBy({ name: 'b' })).toMatchObject({ id: 2 })

      const statements: string[] = []
      const end = sharded.onStatement(({ text }) => statements.push(text))
      await sharded.synchronize()
      end()
      expect(statements.filter((text) => /CREATE (?:OR REPLACE|TRIGGER|INDEX "IDX)|DROP/.test(text))).toEqual([])
      expect(await sharded.manager.countBy(Party, { name: 'b' })).toBe(1)
      await sharded.dropDatabase()
      const left = `SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relname LIKE '%lookup%' AND nspname NOT LIKE 'pg_%' UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE '%lookup_capture'`
      for (const name of ['party_00', 'party_01', 'party_02']) expect(await sharded.shard(name).query(left)).toEqual([])
    },
  )
})
