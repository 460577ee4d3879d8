import {
  And,
  Any,
  Between,
  Column,
  Entity,
  Equal,
  type FindOperator,
  In,
  JoinColumn,
  LessThan,
  ManyToOne,
  MoreThan,
  Not,
  Or,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, LookupIndex, range, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

/** Arrays and null have a meaning of their own to it, as some transformers' do. */
const cents = {
  to: (value: unknown): unknown => (typeof value === 'number' ? value * 100 : value === null ? 700 : value),
  from: (value: number): number => value / 100,
}

const fromText = {
  to: (value: unknown): unknown => Number(String(value).slice(1)),
  from: (value: number) => `#${value}`,
}

const shards = hash({ shards: 3 })

@Entity()
@Sharded(shards)
class Price {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { transformer: cents }) k!: number
}

@Entity()
@Sharded(range({ shards: { low: [null, 400], high: [400, null] } }))
class Ranged {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { transformer: cents }) k!: number
}

@Entity()
@Sharded(shards)
class Tagged {
  @ShardKey() @PrimaryColumn('int') id!: number
  @LookupIndex() @Column('int', { transformer: cents }) k!: number
}

@Entity()
@Sharded(shards)
class Owner {
  @ShardKey() @PrimaryColumn('int', { transformer: fromText }) id!: string
}

/** Its join column holds the numbers that its owner's transformer makes. */
@Entity()
@Sharded({ colocatedWith: () => Owner })
class Belonging {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') ownerId!: number
  @ManyToOne(() => Owner) @JoinColumn({ name: 'ownerId' }) owner!: Relation<Owner>
}

const numbers = [1, 2, 3, 4, 5, 6, 7, 8]
const operators: readonly (readonly [string, (n: number) => FindOperator<number>, (n: number) => readonly number[]])[] =
  [
    ['Any of what is stored', (n) => Any([n * 100]) as never, (n) => [n]],
    ['Any of what is given', (n) => Any([n]) as never, () => []],
    ['Or with Any', (n) => Or(Any([n * 100]) as never, Equal(n)), (n) => [n]],
    ['And with Any', (n) => And(Any([n * 100]) as never, Equal(n)), (n) => [n]],
    ['In', (n) => In([n]), (n) => [n]],
    ['In with null', (_) => In([null]) as never, () => [7]],
    ['Equal', (n) => Equal(n), (n) => [n]],
    ['Equal of another operator', (n) => Equal(LessThan(n)) as never, (n) => [n]],
    ['Between', (n) => Between(n, n), (n) => [n]],
    ['Not of In', (n) => Not(In(numbers.filter((one) => one !== n))), (n) => [n]],
    ['And of bounds', (n) => And(MoreThan(n - 1), LessThan(n + 1)), (n) => [n]],
  ]

describe('a condition on a column with a transformer', () => {
  onTargets({ entities: [Price, Ranged, Tagged, Owner, Belonging], groups: ['price', 'tagged', 'owner'] }, (target) => {
    it.each(operators)('%s: find, update and delete', async (_, operator, found) => {
      const prices = target.dataSource.getRepository(Price)
      const tagged = target.dataSource.getRepository(Tagged)
      const ranged = target.dataSource.getRepository(Ranged)
      for (const repository of [prices, ranged, tagged]) await repository.insert(numbers.map((id) => ({ id, k: id })))
      for (const n of numbers) {
        const where = () => ({ k: operator(n) })
        const ids = (rows: readonly { id: number }[]) => rows.map(({ id }) => id).sort()
        expect([n, ids(await prices.findBy(where()))]).toEqual([n, found(n)])
        expect([n, ids(await ranged.findBy(where()))]).toEqual([n, found(n)])
        expect([n, ids(await tagged.findBy(where()))]).toEqual([n, found(n)])
      }
      const affected: (number | null | undefined)[] = []
      const wanted: number[] = []
      const isUpdated = (n: number) => found(n).length
      for (const n of numbers) {
        wanted.push(isUpdated(n), isUpdated(n))
        affected.push((await prices.update({ k: operator(n) }, { id: () => 'id' })).affected)
        affected.push((await tagged.update({ k: operator(n) }, { k: () => 'k' })).affected)
      }
      expect(affected).toEqual(wanted)
      const left = new Set(numbers)
      for (const n of numbers) {
        const gone = found(n).filter((one) => left.delete(one)).length
        expect([n, (await prices.delete({ k: operator(n) })).affected]).toEqual([n, gone])
      }
    })

    it('of the entity that a relation leads to', async () => {
      const { manager } = target.dataSource
      await manager.insert(
        Owner,
        numbers.map((id) => ({ id: `#${id}` })),
      )
      await manager.insert(
        Belonging,
        numbers.map((id) => ({ id, ownerId: id })),
      )
      for (const n of numbers) {
        expect(await manager.findBy(Belonging, { owner: { id: `#${n}` } })).toEqual([{ id: n, ownerId: n }])
        expect(await manager.findBy(Belonging, { owner: { id: In([`#${n}`]) } })).toEqual([{ id: n, ownerId: n }])
        // TypeORM gives an update the value as it is.
        expect((await manager.update(Belonging, { owner: { id: n as never } }, { id: () => 'id' })).affected).toBe(1)
      }
    })
  })
})
