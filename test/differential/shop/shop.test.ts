import 'reflect-metadata'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../../src/index'
import { seedShop, shopEntities, shopGroups } from '../../parity/shop/seed'
import { isWhole } from '../../support/share-of'
import { type OpenTargets, openingMs, openTargets } from '../../support/targets'
import { createRng, seedOf } from '../rng'
import { settings } from '../settings'
import { differenceOf } from './differ'
import { makeRead } from './generate-reads'
import { makeWrite } from './generate-writes'
import type { ShopOperation } from './operation'
import { rowsOf, written } from './outcome'
import { regressions } from './regressions'
import { ShopData } from './shop-data'
import { shrink } from './shrink'

const { seed, showsFigures, mostFailures } = settings()
const count = Number(process.env['SHOP_OPS'] ?? (isWhole ? 600 : 150))
/** Writes that are not undone. */
const committed = isWhole ? 120 : 30
/** Repeats one operation of a seed. */
const only = process.env['SHOP_ONLY'] === undefined ? undefined : Number(process.env['SHOP_ONLY'])
const everyWrite = 3

describe(`operations over the relations of a shop, seed ${seed}`, () => {
  let targets: OpenTargets
  let data: ShopData
  beforeAll(async () => {
    targets = await openTargets({ entities: shopEntities, groups: shopGroups, seed: seedShop })
    data = await ShopData.of(targets.plain)
  }, openingMs)
  afterAll(() => targets?.close())

  it.each(Object.entries(regressions))('%s', async (_, operation) => {
    for (const { name, dataSource } of targets.sharded) {
      const { difference, given } = await differenceOf(operation, targets.plain, dataSource)
      expect([name, difference, given.error]).toEqual([name, undefined, undefined])
    }
  })

  it('give what one database gives, or a coded refusal', async () => {
    const failures: string[] = []
    let refused = 0
    const figures = new Map<string, number>()
    const note = (what: string) => void figures.set(what, (figures.get(what) ?? 0) + 1)
    for (let number = only ?? 0; number < (only === undefined ? count : only + 1); number += 1) {
      if (failures.length >= mostFailures) break
      const rng = createRng(seedOf(seed, 'shop', number))
      const operation: ShopOperation = number % everyWrite === 0 ? makeWrite(data, rng) : makeRead(data, rng)
      for (const { name, dataSource } of targets.sharded) {
        const { difference, expected, given } = await differenceOf(operation, targets.plain, dataSource)
        note(
          `${operation.do}: ${given.isRefused ? `refused ${given.error}, plain ${expected.error ?? 'works'}` : (given.error ?? 'works')}`,
        )
        if (given.isRefused && !expected.error) refused += 1
        if (!difference) continue
        const small = await shrink(operation, async (smaller) => {
          const again = await differenceOf(smaller, targets.plain, dataSource)
          return again.difference?.kind === difference.kind
        })
        const { difference: left = difference } = await differenceOf(small, targets.plain, dataSource)
        failures.push(
          `operation ${number} on ${name}: ${JSON.stringify(small)}\nof ${JSON.stringify(operation)}\n${left.kind}: ${left.text}`,
        )
        break
      }
    }
    if (showsFigures) console.table([...figures].sort())
    expect(failures).toEqual([])
    // What is refused is not compared.
    expect(refused).toBeLessThan(1 + (count * targets.sharded.length) / 10)
  }, 900_000)

  // The last one: it changes the rows.
  it('leave the same rows, each on its shard', async () => {
    const [target] = targets.sharded
    const sharded = target?.dataSource
    if (!(sharded instanceof ShardedDataSource)) throw new Error('There is no sharded data source.')
    for (let number = 0; number < committed; number += 1) {
      const operation = makeWrite(data, createRng(seedOf(seed, 'committed', number)))
      const given = await written(operation, sharded)
      if (given.isRefused) continue
      const text = `write ${number}: ${JSON.stringify(operation)}`
      expect([text, given.error]).toEqual([text, (await written(operation, targets.plain)).error])
    }
    expect(await rowsOf(sharded, targets.plain)).toEqual(await rowsOf(targets.plain, targets.plain))
    const misplaced = (await sharded.verifyPlacement()).filter((report) => report.misplaced > 0)
    expect(misplaced).toEqual([])
  }, 300_000)
})
