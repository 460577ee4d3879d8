import { describe, expect, test } from 'vitest'
import { createShardMap, type GroupPlacement, type ShardMapOptions } from '../../../src/topology/shard-map'

const labelSpace = (size: number) => ({ kind: 'labels', size, shards: size }) as const
const group = (name: string, labels: readonly string[], rest: Partial<GroupPlacement> = {}): GroupPlacement => ({
  name,
  labels,
  layout: 'schema',
  spaces: [labelSpace(labels.length)],
  ...rest,
})
const nodes = [{ name: 'a' }, { name: 'b' }]
const places = (options: Partial<ShardMapOptions>) =>
  Object.fromEntries(
    [...createShardMap({ nodes, groups: [], ...options }).shards].map(([name, { node }]) => [name, node]),
  )
const error = (code: string, pattern: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(pattern) })

describe('createShardMap', () => {
  test('names, places and orders shards', () => {
    const map = createShardMap({ nodes, groups: [group('user', ['00', '01', '02'], { layout: 'table' })] })
    expect([map.epoch, map.nodes, map.home]).toEqual([0, ['a', 'b'], 'a'])
    expect(map.groups.get('user')).toEqual([
      { name: 'user_00', group: 'user', label: '00', index: 0, node: 'a', layout: 'table' },
      { name: 'user_01', group: 'user', label: '01', index: 1, node: 'b', layout: 'table' },
      { name: 'user_02', group: 'user', label: '02', index: 2, node: 'a', layout: 'table' },
    ])
    expect(map.shards.get('user_01')).toBe(map.groups.get('user')?.[1])
  })

  test('keeps shards of one unit together', () => {
    expect(
      places({ groups: [group('o', ['a1', 'a2', 'b1', 'b2'], { spaces: [labelSpace(2), labelSpace(2)] })] }),
    ).toEqual({
      o_a1: 'a',
      o_a2: 'a',
      o_b1: 'b',
      o_b2: 'b',
    })
  })

  test('pins single shards, by label or name, and moves no other', () => {
    const placement = { '01': 'a', user_02: 'b' }
    expect(places({ groups: [group('user', ['00', '01', '02', '03'], { placement })] })).toEqual({
      user_00: 'a',
      user_01: 'a',
      user_02: 'b',
      user_03: 'b',
    })
  })

  test('uses weights, home and even placement', () => {
    const map = createShardMap({
      nodes: [{ name: 'a', weight: 3 }, { name: 'b' }],
      home: 'b',
      groups: [group('g', ['0', '1', '2', '3'], { placement: 'even' })],
    })
    expect(map.home).toBe('b')
    expect(map.groups.get('g')?.filter(({ node }) => node === 'a')).toHaveLength(3)
  })

  test.each<[string, Partial<ShardMapOptions>, string, RegExp]>([
    ['no nodes', { nodes: [] }, 'OPTIONS_INVALID', /no nodes/],
    ['a node twice', { nodes: [...nodes, { name: 'a' }] }, 'OPTIONS_INVALID', /Two nodes have the name 'a'/],
    ['an unknown home', { home: 'z' }, 'OPTIONS_INVALID', /home names the node 'z'/],
    ['a group twice', { groups: [group('g', ['0']), group('g', ['1'])] }, 'OPTIONS_INVALID', /Two colocation groups/],
    [
      'a shard name twice',
      { groups: [group('a', ['b_c']), group('a_b', ['c'])] },
      'OPTIONS_INVALID',
      /'a' and 'a_b' both have a shard 'a_b_c'/,
    ],
    ['an unknown node', { groups: [group('g', ['0'], { placement: { '0': 'z' } })] }, 'OPTIONS_INVALID', /node 'z'/],
    ['an unknown shard', { groups: [group('g', ['0'], { placement: { '1': 'a' } })] }, 'OPTIONS_INVALID', /shard '1'/],
    ['a pin twice', { groups: [group('g', ['x'], { placement: { x: 'a', g_x: 'b' } })] }, 'OPTIONS_INVALID', /twice/],
    ['a schema pg_…', { groups: [group('pg_stat', ['0'])] }, 'NAME_INVALID', /'pg_stat_0'.*option group/],
    [
      'the schema information_schema',
      { groups: [group('information', ['schema'])] },
      'NAME_INVALID',
      /'information_schema'.*option group/,
    ],
    ['a name of 64 bytes', { groups: [group('ü'.repeat(30), ['123'])] }, 'NAME_INVALID', /64 bytes/],
  ])('refuses %s', (_, options, code, pattern) => {
    expect(() => createShardMap({ nodes, groups: [], ...options })).toThrow(error(code, pattern))
  })

  test('takes a reserved name where it is not that of a schema', () => {
    expect(places({ groups: [group('pg_stat', ['0'], { layout: 'table' })] })).toEqual({ pg_stat_0: 'a' })
  })

  test('takes a name of 63 bytes', () => {
    expect(places({ groups: [group('ü'.repeat(30), ['12'])] })).toEqual({ [`${'ü'.repeat(30)}_12`]: 'a' })
  })

  test('freezes the map and all of its parts', () => {
    const map = createShardMap({ nodes, groups: [group('g', ['0', '1']), group('h', ['0'])] })
    const parts = [map, map.nodes, ...map.groups.values(), ...map.shards.values()]
    expect(parts.every(Object.isFrozen)).toBe(true)
  })
})
