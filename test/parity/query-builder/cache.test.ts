import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids } from './builders'
import { shop, Warehouse } from './shop'

/** The data sources have no cache configured: TypeORM then answers from the tables, whatever a builder asks. */
describe('a cache that a query builder asks for and nobody has', () => {
  onTargets(shop, (target) => {
    const { warehouses } = builders(target)
    const add = (code: string) => target.dataSource.manager.insert(Warehouse, { code, city: 'x', capacity: 1 })
    beforeEach(() => add('A'))

    it.each([
      ['true', (query: ReturnType<typeof warehouses>) => query.cache(true)],
      ['a time', (query: ReturnType<typeof warehouses>) => query.cache(60_000)],
      ['a name', (query: ReturnType<typeof warehouses>) => query.cache('all', 60_000)],
      ['false', (query: ReturnType<typeof warehouses>) => query.cache(false)],
    ])('reads again with %s', async (_name, cache) => {
      expect(await cache(warehouses()).getCount()).toBe(1)
      expect(ids((await cache(warehouses()).getMany()).map(({ code }) => ({ id: code })))).toEqual(['A'])
      await add('B')
      await add('C')
      expect(await cache(warehouses()).getCount()).toBe(3)
      const found = await cache(warehouses()).orderBy('w.code').getMany()
      expect(found.map(({ code }) => code)).toEqual(['A', 'B', 'C'])
      const [page, count] = await cache(warehouses()).orderBy('w.code', 'DESC').take(1).getManyAndCount()
      expect([page.map(({ code }) => code), count]).toEqual([['C'], 3])
      expect(await cache(warehouses()).select('w.code', 'code').where('w.code = :c', { c: 'B' }).getRawMany()).toEqual([
        { code: 'B' },
      ])
    })
  })
})
