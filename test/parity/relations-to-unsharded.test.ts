import { Column, Entity, In, JoinColumn, ManyToOne, MoreThan, PrimaryColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
class Land {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @Column('int') size!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Parcel {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') weight!: number
  @Column('int', { nullable: true }) landId!: number | null
  @ManyToOne(() => Land, { createForeignKeyConstraints: false, nullable: true })
  @JoinColumn({ name: 'landId' })
  land!: Relation<Land> | null
}

const lands = [
  { id: 1, name: 'one', size: 30 },
  { id: 2, name: 'two', size: 20 },
  { id: 3, name: 'three', size: 10 },
]
/** Every fifth has no land, every seventh one that does not exist. */
const parcels = Array.from({ length: 40 }, (_, index) => ({
  id: index + 1,
  weight: index % 6,
  landId: index % 5 === 0 ? null : index % 7 === 0 ? 99 : (index % 3) + 1,
}))
const landOf = ({ landId }: (typeof parcels)[number]) => lands.find(({ id }) => id === landId) ?? null

describe('a relation of a sharded entity to an unsharded one', () => {
  onTargets(
    {
      entities: [Land, Parcel],
      groups: ['parcel'],
      seed: async (dataSource) => {
        await dataSource.getRepository(Land).insert(lands)
        await dataSource.getRepository(Parcel).insert(parcels)
      },
    },
    (target) => {
      const repository = () => target.dataSource.getRepository(Parcel)
      const ids = (found: readonly Parcel[]) => found.map(({ id }) => id)
      const idsOf = (keeps: (parcel: (typeof parcels)[number]) => boolean) => parcels.filter(keeps).map(({ id }) => id)

      it('is loaded by find, joined or by a query, on one shard and on all', async () => {
        for (const relationLoadStrategy of ['join', 'query'] as const) {
          const options = { relations: { land: true }, order: { id: 'ASC' }, relationLoadStrategy } as const
          const found = await repository().find(options)
          expect(found).toEqual(parcels.map((parcel) => ({ ...parcel, land: landOf(parcel) })))
          expect(found.every((parcel) => parcel instanceof Parcel)).toBe(true)
          const one = await repository().findOne({ where: { id: 3 }, ...options })
          expect(one).toEqual(found[2])
        }
      })

      it('is a condition of find, count and exists', async () => {
        const where = { land: { size: MoreThan(15) } }
        const expected = idsOf((parcel) => (landOf(parcel)?.size ?? 0) > 15)
        expect(ids(await repository().find({ where, order: { id: 'ASC' } }))).toEqual(expected)
        expect(await repository().countBy(where)).toBe(expected.length)
        expect(await repository().existsBy({ land: { name: 'four' } })).toBe(false)
        const [page, total] = await repository().findAndCount({ where, order: { id: 'DESC' }, skip: 2, take: 3 })
        expect([ids(page), total]).toEqual([expected.toReversed().slice(2, 5), expected.length])
      })

      it('is a condition by its own key: a key of no row finds nothing', async () => {
        const byKey = async (id: number) =>
          ids(await repository().find({ where: { land: { id } }, order: { id: 'ASC' } }))
        expect(await byKey(2)).toEqual(idsOf(({ landId }) => landId === 2))
        expect(await byKey(99)).toEqual([])
        const list = await repository().find({ where: { land: { id: In([1, 99]) }, weight: 3 }, order: { id: 'ASC' } })
        expect(ids(list)).toEqual(idsOf(({ landId, weight }) => landId === 1 && weight === 3))
      })

      it('is an order', async () => {
        const found = await repository().find({
          where: { land: { id: MoreThan(0) } },
          order: { land: { size: 'ASC' }, id: 'DESC' },
        })
        const expected = parcels
          .filter((parcel) => landOf(parcel) !== null)
          .toSorted((a, b) => (landOf(a)?.size ?? 0) - (landOf(b)?.size ?? 0) || b.id - a.id)
        expect(ids(found)).toEqual(expected.map(({ id }) => id))
      })
    },
  )
})
