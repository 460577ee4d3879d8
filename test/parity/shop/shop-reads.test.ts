import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenTargets, openTargets } from '../../support/targets'
import { notYet } from './not-yet'
import { outcomeOf } from './outcome'
import { catalogReads, tenantReads } from './reads'
import { seedShop, shopEntities, shopGroups } from './seed'

describe('what a shop reads', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ entities: shopEntities, groups: shopGroups, seed: seedShop })
  })
  afterAll(() => targets?.close())

  it.each(Object.entries({ ...tenantReads, ...catalogReads }))('%s', async (name, script) => {
    const expected = await outcomeOf(script, targets.plain)
    expect(expected).not.toEqual({ value: [] })
    expect(expected).toHaveProperty('value')
    const refusal = notYet[name]
    for (const { name: target, shards, dataSource } of targets.sharded) {
      // One shard has all rows, and answers more than several do.
      if (refusal && shards === 1) continue
      expect([target, await outcomeOf(script, dataSource)]).toEqual([target, refusal ? { error: refusal } : expected])
    }
  })
})
