import { Column, Entity, In, ManyToOne, OneToMany, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Shop {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column()
  name!: string

  @OneToMany(
    () => Sale,
    (sale) => sale.shop,
    { cascade: true },
  )
  sales!: Relation<Sale>[]
}

/** Its shard key has no property of its own: it is the join column of a relation. */
@Entity()
@Sharded({ colocatedWith: () => Shop })
class Sale {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @ManyToOne(
    () => Shop,
    (shop) => shop.sales,
    { nullable: false },
  )
  shop!: Relation<Shop>

  @Column('int')
  total!: number
}

const shopIds = [1, 2, 3, 4, 5, 6]

describe('a many-to-one relation as the shard key', () => {
  onTargets({ entities: [Shop, Sale], groups: ['shop'] }, (target) => {
    const shops = () => target.dataSource.getRepository(Shop)
    const sales = () => target.dataSource.getRepository(Sale)
    const build = () =>
      shops().save(shopIds.map((id) => ({ id, name: `s${id}`, sales: [{ total: id }, { total: 10 * id }] })))

    it('saves children by cascade', async () => {
      await build()
      expect(await sales().count()).toBe(12)
      const [shop] = await shops().find({ where: { id: 4 }, relations: { sales: true } })
      expect(shop?.sales.map(({ total }) => total).sort((a, b) => a - b)).toEqual([4, 40])
    })

    it('saves and inserts children with their parents', async () => {
      await build()
      const [saved] = await sales().save([{ shop: { id: 3 }, total: 7 }])
      await sales().insert({ shop: { id: 5 }, total: 8 })
      expect(await sales().findOneOrFail({ where: { total: 7 }, relations: { shop: true } })).toMatchObject({
        id: saved?.id,
        shop: { id: 3, name: 's3' },
      })
      expect(await sales().countBy({ shop: { id: 5 } })).toBe(3)
    })

    it('finds, counts and deletes by the parent', async () => {
      await build()
      expect(await sales().countBy({ shop: { id: 2 } })).toBe(2)
      expect(await sales().countBy({ shop: In([2, 3]) })).toBe(4)
      expect(await sales().sum('total', { shop: { name: 's6' } })).toBe(66)
      expect((await sales().delete({ shop: { id: 2 } })).affected).toBe(2)
      expect((await sales().update({ shop: { id: 3 } }, { total: 0 })).affected).toBe(2)
      expect((await sales().find({ order: { total: 'DESC' }, take: 1 }))[0]?.total).toBe(60)
    })

    it('saves back and removes what was loaded', async () => {
      await build()
      const [sale] = await sales().find({ where: { total: 50 }, relations: { shop: true } })
      if (!sale) throw new Error('It is there.')
      sale.total = 51
      await sales().save(sale)
      expect(await sales().countBy({ shop: { id: 5 }, total: 51 })).toBe(1)
      await sales().remove(await sales().findBy({ total: In([51, 5]) }))
      expect(await sales().count()).toBe(10)
    })
  })
})
