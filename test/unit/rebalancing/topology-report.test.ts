import { describe, expect, it } from 'vitest'
import { bytesText, formatReport } from '../../../src/rebalancing/format-report'
import { StatementLoad } from '../../../src/rebalancing/statement-load'
import { type ReportInput, skewAgainst, topologyReport } from '../../../src/rebalancing/topology-report'

const shard = (label: string, node: string, group = 'user') =>
  [`${group}_${label}`, { name: `${group}_${label}`, group, label, index: 0, node, layout: 'schema' as const }] as const

const loaded = (): StatementLoad => {
  const load = new StatementLoad()
  const told = { text: '', prepared: false, failed: false, cancelled: false }
  load.listener({ ...told, node: 'a', shard: 'user_00', milliseconds: 3 })
  load.listener({ ...told, node: 'a', shard: 'user_00', milliseconds: 1 })
  load.listener({ ...told, node: 'a', shard: undefined, milliseconds: 4 })
  load.listener({ ...told, node: 'b', shard: 'user_01', milliseconds: 2 })
  return load
}

const input = (given: Partial<ReportInput> = {}): ReportInput => ({
  takenAt: new Date(0),
  map: {
    epoch: 7,
    home: 'a',
    nodes: ['a', 'b', 'c'],
    shards: new Map([shard('00', 'a'), shard('01', 'b'), shard('00', 'a', 'log')]),
  },
  weights: { a: 2, b: 1, c: 1 },
  isExact: true,
  sizes: new Map([
    ['user_00', { rows: 30, bytes: 3_000 }],
    ['user_01', { rows: 10, bytes: 1_000 }],
    ['log_00', { rows: 0, bytes: 0 }],
  ]),
  load: loaded(),
  hotKeys: [{ group: 'user', key: ['42'], shard: 'user_00', atLeast: 10, atMost: 12 }],
  ...given,
})

describe('a report of the topology', () => {
  it('sums up shards by node and group, and compares nodes with what is due to them', () => {
    const report = topologyReport(input())
    expect(
      report.nodes.map(({ name, isHome, share, shards, rows, bytes, load }) => [
        name,
        isHome,
        share,
        shards,
        rows,
        bytes,
        load,
      ]),
    ).toEqual([
      ['a', true, 0.5, 2, 30, 3_000, { statements: 3, milliseconds: 8 }],
      ['b', false, 0.25, 1, 10, 1_000, { statements: 1, milliseconds: 2 }],
      ['c', false, 0.25, 0, 0, 0, { statements: 0, milliseconds: 0 }],
    ])
    expect(report.shards[0]).toEqual({
      name: 'user_00',
      group: 'user',
      node: 'a',
      rows: 30,
      bytes: 3_000,
      load: { statements: 2, milliseconds: 4 },
    })
    expect(report.groups).toEqual([
      { name: 'user', shards: 2, rows: 40, bytes: 4_000, skew: { rows: 1.5, bytes: 1.5, load: 4 / 3 } },
      { name: 'log', shards: 1, rows: 0, bytes: 0, skew: { rows: 1, bytes: 1, load: 1 } },
    ])
    expect(report.skew).toEqual({ shards: 4 / 3, rows: 1.5, bytes: 1.5, load: 1.6 })
    expect([report, report.nodes, report.nodes[0], report.shards, report.skew].every(Object.isFrozen)).toBe(true)
  })

  it('says nothing of a load that is not counted', () => {
    const report = topologyReport(input({ load: undefined, hotKeys: [] }))
    expect(report.countedSince).toBeUndefined()
    expect([report.skew.load, report.groups[0]?.skew.load, report.nodes[0]?.load]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('begins to count anew', () => {
    const load = loaded()
    load.reset()
    expect([load.ofNode('a'), load.ofShard('user_00')]).toEqual([
      { statements: 0, milliseconds: 0 },
      { statements: 0, milliseconds: 0 },
    ])
  })

  it('is a picture', () => {
    expect(formatReport(topologyReport(input())).split('\n')).toEqual([
      'epoch 7, 3 nodes, 3 shards, 40 rows, 3.9 kB',
      'skew of the nodes (1 is even): shards 1.33, rows 1.50, bytes 1.50, load 1.60',
      '',
      'a (home)  ███████████┃██████░░░░░░  75 % of 50 % (weight 2)  2 shards  30 rows  2.9 kB  3 statements, 8 ms',
      'b         █████┃░░░░░░░░░░░░░░░░░░  25 % of 25 % (weight 1)  1 shards  10 rows  1000 B  1 statements, 2 ms',
      'c         ░░░░░│░░░░░░░░░░░░░░░░░░  0 % of 25 % (weight 1)   0 shards  0 rows   0 B     0 statements, 0 ms',
      '',
      'user_00  ████████████████████████  a  30 rows  2.9 kB  2 statements, 4 ms',
      'user_01  ████████░░░░░░░░░░░░░░░░  b  10 rows  1000 B  1 statements, 2 ms',
      'log_00   ░░░░░░░░░░░░░░░░░░░░░░░░  a  0 rows   0 B     0 statements, 0 ms',
      '',
      'shard keys that this process named most often:',
      'user 42  user_00  10 to 12 times',
    ])
  })

  it('writes sizes as PostgreSQL does', () => {
    expect([0, 999, 1_024, 1_536, 204_800, 5 * 1024 ** 4].map(bytesText)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.5 kB',
      '200 kB',
      '5.0 TB',
    ])
  })
})

describe('the skew', () => {
  it('is the greatest value against what is due', () => {
    expect(skewAgainst([1, 1, 4], [1 / 3, 1 / 3, 1 / 3])).toBe(2)
    expect(skewAgainst([0, 0], [0.5, 0.5])).toBe(1)
    expect(skewAgainst([0, 3], [0, 1])).toBe(1)
    expect(skewAgainst([1, 3], [0, 1])).toBe(Number.POSITIVE_INFINITY)
  })
})
