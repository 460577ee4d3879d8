import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenTargets, openingMs, openTargets } from '../../support/targets'
import { apartReads } from './apart-reads'
import { catalogReads } from './catalog-reads'
import { outcomeOf } from './outcome'
import { seedShop, shopEntities, shopGroups } from './seed'
import { tenantReads } from './tenant-reads'

describe('what a shop reads', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ onThreeNodes: true, entities: shopEntities, groups: shopGroups, seed: seedShop })
  }, openingMs)
  afterAll(() => targets?.close())

  it.each(Object.entries({ ...tenantReads, ...catalogReads, ...apartReads }))('%s', async (_, script) => {
    const expected = await outcomeOf(script, targets.plain)
    expect(expected).not.toEqual({ value: [] })
    expect(expected).toHaveProperty('value')
    for (const { name: target, dataSource } of targets.sharded) {
      expect([target, await outcomeOf(script, dataSource)]).toEqual([target, expected])
    }
  })
})
