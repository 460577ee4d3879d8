import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenTargets, openTargets } from '../../support/targets'
import { queries } from './queries'
import { seed, tables } from './tables'

describe('the queries of TPC-H', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ entities: tables, groups: ['orders'], seed })
  })
  afterAll(() => targets?.close())

  it.each(Object.entries(queries))('%s gives what one database gives', async (_, text) => {
    const expected: readonly object[] = await targets.plain.query(text)
    // A question without an answer would prove little.
    expect(Object.values(expected[0] ?? {}).some((value) => value !== null)).toBe(true)
    for (const { name, dataSource } of targets.sharded)
      expect([name, await dataSource.query(text)]).toEqual([name, expected])
  })
})
