import { describe, expect, test } from 'vitest'
import { gathersFewer, sendsFew } from '../../../src/planning/sent-rows'

const sent = { rows: 2_000, nodes: 2, askedByRow: 0, isOnShards: true }

describe('rows that a query sends to its shards', () => {
  test.each([
    ['many', sent, false],
    ['few', { ...sent, rows: 500 }, true],
    ['few for each node, many in all', { ...sent, rows: 501 }, false],
    ['few that are gone through for each row', { ...sent, rows: 500, askedByRow: 21 }, false],
  ])('are %s', (_, rows, isFew) => expect(sendsFew(rows)).toBe(isFew))

  test.each([
    ['less than half as many are copied', { rows: 1_999, most: 1_000 }, sent, true],
    ['half as many are copied', { rows: 2_000, most: 1_000 }, sent, false],
    ['few are gone through for each of many', { rows: 600_000, most: 600_000 }, { ...sent, askedByRow: 101 }, true],
    ['few are gone through for each of few', { rows: 3_000, most: 500 }, { ...sent, askedByRow: 101 }, false],
    ['the home node gets as many either way', { rows: 4_000, most: 2_000 }, { ...sent, isOnShards: false }, true],
    ['the home node gets fewer', { rows: 4_001, most: 2_000 }, { ...sent, isOnShards: false }, false],
  ])('are sent, or gathered: %s', (_, gathered, rows, isGathered) =>
    expect(gathersFewer(gathered, rows)).toBe(isGathered),
  )
})
