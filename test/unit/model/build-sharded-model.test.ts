import { beforeAll, describe, expect, it } from 'vitest'
import { Refusals } from '../../../src/errors/refusals'
import { ShardedError } from '../../../src/errors/sharded-error'
import { hash, loadHash } from '../../../src/functions/hash'
import { buildShardedModel, type ModelDefaults } from '../../../src/model/build-sharded-model'
import { findKeyColumns, findShardedArgs, inherits } from '../../../src/model/declared-entities'
import type { ColumnDescription, EntityDescription } from '../../../src/model/entity-description'
import { shardedEntity } from '../../../src/model/sharded-entity'
import type { ShardArgsStorage, ShardedOptions } from '../../../src/model/sharded-options'
import { withLookups } from '../../../src/model/with-lookups'

class Base {}
class Customer extends Base {}
class SalesOrder extends Base {}

const column = (propertyPath: string, more: Partial<ColumnDescription> = {}): ColumnDescription => ({
  propertyPath,
  propertyName: propertyPath.split('.').at(-1) ?? '',
  declaredOn: Base,
  relationProperty: undefined,
  type: 'bigint',
  keyType: 'integer',
  isPrimary: propertyPath === 'id',
  generation: undefined,
  ...more,
})

const entity = (target: new () => object, columns: readonly ColumnDescription[]): EntityDescription => ({
  name: target.name,
  target,
  schema: undefined,
  tableName: target.name.toLowerCase(),
  columns,
  uniques: [],
  relations: [],
})

const customer = entity(Customer, [column('id'), column('name')])
const order = entity(SalesOrder, [column('id'), column('customerId')])

const storage = (options: ShardedOptions = {}): ShardArgsStorage => ({
  sharded: [
    { target: Customer, fn: hash({ shards: 2 }), options },
    {
      target: SalesOrder,
      colocatedWith: () => Customer,
      options: { scatter: { reads: 'forbid' }, primaryKeyCheck: false },
    },
  ],
  shardKeys: [
    { target: Customer, propertyName: 'id' },
    { target: SalesOrder, propertyName: 'customerId' },
  ],
})

const defaults: ModelDefaults = {
  layout: 'schema',
  scatter: { writes: 'warn', maxShards: 5, deadlineMs: 500 },
  primaryKeyCheck: true,
  groups: {},
}

describe('buildShardedModel', () => {
  beforeAll(loadHash)

  it('puts colocated entities into the group of the one with the function', () => {
    const model = buildShardedModel([customer, order], storage(), defaults)
    expect([...model.groups.values()]).toEqual([
      {
        name: 'customer',
        labels: ['00', '01'],
        layout: 'schema',
        spaces: [{ kind: 'slots', size: 16_384, shards: 2 }],
        keyTypes: ['integer'],
        print: { rule: 'hash of 2 shards', owns: ['', ''] },
      },
    ])
    const [first, second] = [shardedEntity(model, Customer), shardedEntity(model, SalesOrder)]
    expect([first?.group, second?.group]).toEqual(['customer', 'customer'])
    expect(first?.fn).toBe(second?.fn)
    expect(first?.primaryKeyHoldsShardKey).toBe(true)
    expect(second?.primaryKeyHoldsShardKey).toBe(false)
  })

  it('lets the entity’s options go before the defaults', () => {
    const model = buildShardedModel([customer, order], storage(), defaults)
    expect(shardedEntity(model, Customer)?.scatter).toEqual({
      reads: 'allow',
      writes: 'warn',
      maxShards: 5,
      rowBudget: 1_000_000,
      deadlineMs: 500,
    })
    expect(shardedEntity(model, SalesOrder)?.scatter).toEqual({
      reads: 'forbid',
      writes: 'warn',
      maxShards: 5,
      rowBudget: 1_000_000,
      deadlineMs: 500,
    })
    expect(
      [shardedEntity(model, Customer), shardedEntity(model, SalesOrder)].map((one) => one?.primaryKeyCheck),
    ).toEqual([true, false])
  })

  it('refuses limits that bound nothing', () => {
    for (const scatter of [{ rowBudget: 0 }, { deadlineMs: -1 }, { rowBudget: 1.5 }, { deadlineMs: 2 ** 31 }]) {
      expect(() => buildShardedModel([customer, order], storage({ scatter }), defaults)).toThrow(/OPTIONS_INVALID/)
    }
    const scatter = { rowBudget: Number.POSITIVE_INFINITY, deadlineMs: Number.POSITIVE_INFINITY }
    const model = buildShardedModel([customer, order], storage({ scatter }), defaults)
    expect(shardedEntity(model, Customer)?.scatter).toMatchObject(scatter)
  })

  it('lets the environment go before the decorators', () => {
    const groups = { people: { layout: 'table' as const, shards: hash({ shards: 3 }) } }
    const model = buildShardedModel([customer, order], storage({ group: 'people', layout: 'schema' }), {
      ...defaults,
      groups,
    })
    expect(model.groups.get('people')).toMatchObject({ layout: 'table', labels: ['00', '01', '02'] })
  })

  it('names groups in snake case', () => {
    const own: ShardArgsStorage = {
      sharded: [{ target: SalesOrder, fn: hash({ shards: 1 }), options: {} }],
      shardKeys: [{ target: SalesOrder, propertyName: 'id' }],
    }
    expect([...buildShardedModel([customer, order], own, defaults).groups.keys()]).toEqual(['sales_order'])
  })

  it('is frozen, and does not know what is not declared', () => {
    const model = buildShardedModel([customer, order], storage(), defaults)
    for (const value of [
      model,
      model.entities.get(Customer),
      shardedEntity(model, Customer)?.keyColumns,
      model.groups.get('customer'),
    ])
      expect(Object.isFrozen(value)).toBe(true)
    expect(model.entities.get(class {})).toBeUndefined()
  })

  it('keeps what is not sharded as a home entity, and leaves out what is refused', () => {
    const model = buildShardedModel([customer, order], { sharded: [], shardKeys: [] }, defaults)
    expect(model.entities.get(Customer)).toEqual({
      kind: 'home',
      name: 'Customer',
      target: Customer,
      relationsApart: new Set(),
    })
    expect(shardedEntity(model, Customer)).toBeUndefined()
    expect(Object.isFrozen(model.entities.get(Customer))).toBe(true)
    const refusals = new Refusals()
    const unkeyed = buildShardedModel([customer, order], { ...storage(), shardKeys: [] }, { ...defaults, refusals })
    expect([...unkeyed.entities]).toEqual([])
  })

  it('does not call an entity unsharded that was refused', () => {
    const refusals = new Refusals()
    const own = { ...storage(), shardKeys: storage().shardKeys.slice(1) }
    const model = buildShardedModel([customer, order], own, { ...defaults, refusals })
    const unique = { target: SalesOrder, properties: ['customerId'], isMark: true, isUnique: true, name: undefined }
    withLookups(model, { entities: [customer, order], lookups: [unique] }, { ...defaults, refusals })
    expect(() => refusals.throwAny()).toThrow(/^Customer is @Sharded/)
  })
})

describe('declarations', () => {
  it('are inherited, the nearest first', () => {
    const all = {
      sharded: [
        { target: Base, options: {} },
        { target: Customer, options: {} },
      ],
      shardKeys: [],
    }
    expect(findShardedArgs(all, Customer)).toBe(all.sharded[1])
    expect(findShardedArgs(all, SalesOrder)).toBe(all.sharded[0])
    expect(findShardedArgs(all, class {})).toBeUndefined()
    expect([inherits(Customer, Base), inherits(Base, Customer), inherits('a', 'a'), inherits('a', Base)]).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  it('of key columns come in the order of the marks, by column or by relation', () => {
    const keys = {
      sharded: [],
      shardKeys: ['customerId', 'id'].map((propertyName) => ({ target: Base, propertyName })),
    }
    expect(findKeyColumns(keys, order).map(({ propertyPath }) => propertyPath)).toEqual(['customerId', 'id'])
    const byRelation = entity(SalesOrder, [
      column('id'),
      column('customer', { relationProperty: 'customer', propertyName: 'x' }),
    ])
    const mark = { sharded: [], shardKeys: [{ target: SalesOrder, propertyName: 'customer' }] }
    expect(findKeyColumns(mark, byRelation).map(({ propertyPath }) => propertyPath)).toEqual(['customer'])
    expect(findKeyColumns({ sharded: [], shardKeys: [{ target: Customer, propertyName: 'id' }] }, order)).toEqual([])
  })
})

describe('the refusals of a start', () => {
  const broken = (name: string, columns: readonly ColumnDescription[]): EntityDescription => ({
    ...entity(class {}, columns),
    name,
  })
  const refusalsOf = (entities: readonly EntityDescription[], keys: readonly string[]) => {
    const declared: ShardArgsStorage = {
      sharded: entities.map(({ target }) => ({ target, fn: hash({ shards: 2 }), options: {} })),
      shardKeys: entities.flatMap(({ target }) => keys.map((propertyName) => ({ target, propertyName }))),
    }
    const declaredOnTarget = entities.map((one) => ({
      ...one,
      columns: one.columns.map((each) => ({ ...each, declaredOn: one.target })),
    }))
    try {
      buildShardedModel(declaredOnTarget, declared, defaults)
      return []
    } catch (error) {
      if (!(error instanceof ShardedError)) throw error
      const { refusals } = error.details
      return Array.isArray(refusals) ? [error.code, ...refusals.map(({ message }: Error) => message)] : [error.code]
    }
  }

  it('are one error with all of them, in the order of the entities', () => {
    const refused = refusalsOf(
      [
        broken('Keyless', [column('id')]),
        broken('Twice', [column('id', { generation: 'increment' }), column('place', { generation: 'identity' })]),
        broken('Json', [column('id'), column('place', { type: 'jsonb', keyType: undefined })]),
      ],
      ['place'],
    )
    expect(refused).toEqual([
      'DECLARATIONS_INVALID',
      expect.stringMatching(/^Keyless is @Sharded.*ENTITY_WITHOUT_SHARD_KEY/),
      expect.stringMatching(/^Json\.place of type jsonb.*KEY_TYPE_UNSUPPORTED/),
      expect.stringMatching(/^Twice\.id is generated.*SEQUENCE_ON_SHARDED_ENTITY/),
      expect.stringMatching(/^Twice\.place is generated.*SEQUENCE_ON_SHARDED_ENTITY/),
    ])
  })

  it('are the error itself where there is one, without what follows from it', () => {
    const keyless = broken('Keyless', [column('id')])
    const related: EntityDescription = {
      ...broken('Related', [column('place')]),
      relations: [
        {
          property: 'keyless',
          inverse: keyless.target,
          inverseName: 'Keyless',
          isManyToMany: false,
        },
      ],
    }
    expect(refusalsOf([keyless, related], ['place'])).toEqual(['ENTITY_WITHOUT_SHARD_KEY'])
  })
})
