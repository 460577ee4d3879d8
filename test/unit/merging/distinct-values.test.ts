import { describe, expect, it } from 'vitest'
import { distinctValues } from '../../../src/merging/distinct-values'

const sources = [
  { rows: [{ __k0: 'b' }, { __k0: null }, { __k0: 'a' }] },
  { rows: [] },
  { rows: [{ __k0: 'a' }, { __k0: 'c' }, { __k0: 'b' }] },
]

describe('distinctValues', () => {
  it('collects each text once over all sources, without NULLs', () => {
    expect(distinctValues(sources, '__k0')).toEqual(['b', 'a', 'c'])
    expect(distinctValues(sources, '__k0', 3)).toEqual(['b', 'a', 'c'])
  })

  it('refuses more than its bound', () => {
    expect(() => distinctValues(sources, '__k0', 2)).toThrow(
      expect.objectContaining({ code: 'SCATTER_UNSUPPORTED', details: { column: '__k0', maxDistinctValues: 2 } }),
    )
  })

  it('refuses what is no text, and a missing column', () => {
    const refused = expect.objectContaining({ code: 'MERGE_ORDER', details: { column: '__k1' } })
    expect(() => distinctValues([{ rows: [{ __k1: 1 }] }], '__k1')).toThrow(refused)
    expect(() => distinctValues(sources, '__k1')).toThrow(refused)
  })
})
