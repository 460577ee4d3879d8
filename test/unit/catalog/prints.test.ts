import { beforeAll, describe, expect, it } from 'vitest'
import { comparePrints } from '../../../src/catalog/compare-prints'
import type { GroupPrint, KeyPrint } from '../../../src/catalog/group-print'
import { formatPrint, parsePrint, storedPlaces } from '../../../src/catalog/group-print'
import { composite } from '../../../src/functions/composite'
import { custom } from '../../../src/functions/custom'
import { hash, loadHash } from '../../../src/functions/hash'
import { list } from '../../../src/functions/list'
import { range } from '../../../src/functions/range'
import { time } from '../../../src/functions/time'

const stored: GroupPrint = {
  keyTypes: ['integer'],
  keys: { item: [{ name: 'tenant' }] },
  rule: 'list',
  layout: 'schema',
  home: 'ida',
  nodes: { ida: 'a', idb: 'b' },
  shards: [
    { label: 'x', database: 'ida', owns: '["1"]' },
    { label: 'y', database: 'idb', owns: '["2"]' },
  ],
}
const present = new Map([
  ['ida', 'a'],
  ['idb', 'b'],
])

describe('prints of groups', () => {
  beforeAll(loadHash)

  it('are the same after they were stored, and smaller there', () => {
    expect(parsePrint(formatPrint(stored))).toEqual(stored)
    // jsonb orders the keys of objects, and never what is in a list.
    expect(parsePrint(JSON.stringify(JSON.parse(formatPrint(stored))))).toEqual(stored)
    expect(formatPrint(stored)).toContain('"shards":[["x",0,"[\\"1\\"]"],["y",1,"[\\"2\\"]"]]')
  })

  it('are equal whatever the order of shards, and where shards are added', () => {
    const [x, y] = stored.shards
    const same = { ...stored, shards: [y, x].flatMap((one) => one ?? []) }
    expect(comparePrints(stored, same, present)).toEqual({ differences: [], rekeyed: [], isGrown: false })
    const more = { ...same, shards: [...same.shards, { label: 'z', database: 'ida', owns: '["3"]' }] }
    expect(comparePrints(stored, more, present)).toEqual({ differences: [], rekeyed: [], isGrown: true })
    expect(comparePrints(more, stored, present).differences).toEqual(['the options lack its shard z'])
  })

  it('differ by everything that places a row', () => {
    const differences = (change: Partial<GroupPrint>, names = present) =>
      comparePrints(stored, { ...stored, ...change }, names).differences
    expect(differences({ rule: 'intervals' })).toEqual(['the sharding function is list, and intervals by the options'])
    expect(differences({ keyTypes: ['text'] })).toEqual(['the shard key is integer, and text by the options'])
    expect(differences({ layout: 'table' })).toEqual(['the layout is schema, and table by the options'])
    expect(differences({ home: 'idb' })).toEqual(['the home node is node a, and node b by the options'])
    expect(differences({ shards: stored.shards.map((shard) => ({ ...shard, database: 'ida' })) })).toEqual([
      'the place of shard y is node b, and node a by the options',
    ])
    expect(differences({ shards: stored.shards.map((shard) => ({ ...shard, owns: '["1"]' })) })).toEqual([
      'what shard y owns is ["2"], and ["1"] by the options',
    ])
  })

  it('differ by the columns of a shard key, their order, and a type that rounds what is stored', () => {
    const types = ['numeric', 'text'] as const
    const price = { name: 'price', precision: 8, scale: 2 }
    const print = (...key: KeyPrint[]): GroupPrint => ({ ...stored, keyTypes: types, keys: { item: key } })
    const compared = (...key: KeyPrint[]) =>
      comparePrints(print(price, { name: 'area', length: 5 }), print(...key), present)
    const differs = (now: string) => ({
      differences: [`the shard key of table item is (price numeric(8, 2), area text(5)), and (${now}) by the options`],
      rekeyed: ['item'],
      isGrown: false,
    })
    expect(compared({ name: 'area' }, { name: 'price' })).toEqual(differs('area numeric, price text'))
    expect(compared(price, { name: 'zone', length: 5 })).toEqual(differs('price numeric(8, 2), zone text(5)'))
    expect(compared({ ...price, scale: 1 }, { name: 'area' })).toEqual(differs('price numeric(8, 1), area text'))
    const same = { differences: [], rekeyed: [], isGrown: false }
    expect(compared({ ...price, precision: 9 }, { name: 'area', length: 5 })).toEqual(same)
    expect(compared({ ...price, scale: 3 }, { name: 'area' })).toEqual({ differences: [], rekeyed: [], isGrown: true })
  })

  it('take the keys of tables that are new, and all where an earlier version stored none', () => {
    const { keys, ...before } = stored
    expect(parsePrint(formatPrint(before))).toEqual(before)
    expect(comparePrints(before, stored, present)).toEqual({ differences: [], rekeyed: [], isGrown: true })
    const more = { ...stored, keys: { ...keys, other: [{ name: 'id' }] } }
    expect(comparePrints(stored, more, present)).toEqual({ differences: [], rekeyed: [], isGrown: true })
  })

  it('tell nodes that were swapped from nodes that were renamed', () => {
    const names = (a: string, b: string) =>
      new Map([
        ['ida', a],
        ['idb', b],
      ])
    expect(comparePrints(stored, stored, names('left', 'right')).differences).toEqual([])
    expect(comparePrints(stored, stored, names('b', 'a')).differences).toEqual([
      'the database of node a is that of node b by the options',
      'the database of node b is that of node a by the options',
    ])
  })

  it('name few of many shards', () => {
    const many = {
      ...stored,
      shards: Array.from({ length: 9 }, (_, n) => ({ label: `${n}`, database: 'ida', owns: '' })),
    }
    const { differences } = comparePrints(many, { ...many, shards: [] }, present)
    expect(differences.slice(-2)).toEqual(['the options lack its shard 2', 'and 6 more of its shards'])
  })

  it('give the places of stored shards, and of new ones of their unit', () => {
    const space = { kind: 'labels', size: 3, shards: 3 } as const
    const spaces = [space, { ...space, size: 2, shards: 2 }] as const
    const group = { labels: ['x', 'x2', 'new', 'new2', 'y', 'y2'].slice(0, 5), spaces }
    expect(storedPlaces(group, stored, present)).toEqual({ x: 'a', y: 'b', x2: 'a' })
    expect(storedPlaces(group, undefined, present)).toEqual({})
    expect(storedPlaces(group, stored, new Map([['ida', 'a']]))).toEqual({ x: 'a', x2: 'a' })
  })
})

describe('prints of sharding functions', () => {
  beforeAll(loadHash)

  it('are one for one function, however it is written', () => {
    expect(list({ shards: { x: [2, '1'] } }).bind(['integer']).print).toEqual({ rule: 'list', owns: ['["1","2"]'] })
    expect(range({ shards: { high: [10, null], low: [null, '10'] } }).bind(['integer']).print).toEqual({
      rule: 'intervals',
      owns: ['["10",null]', '[null,"10"]'],
    })
    const months = (to: string) => time({ every: 'month', from: '2024-01', to }).bind(['date']).print
    expect(months('2024-03')).toEqual({
      rule: 'intervals',
      owns: ['["2024-01-01","2024-02-01"]', '["2024-02-01","2024-03-01"]'],
    })
    expect(months('2024-05').owns.slice(0, 2)).toEqual(months('2024-03').owns)
  })

  it('hold in their rule what another shard would change', () => {
    expect(hash({ shards: 2 }).bind(['integer']).print).toEqual({ rule: 'hash of 2 shards', owns: ['', ''] })
    const otherwise = (shards: Parameters<typeof list>[0]['shards']) =>
      list({ shards, otherwise: 'rest' }).bind(['integer']).print.rule
    expect(otherwise({ x: [1] })).not.toBe(otherwise({ x: [1], y: [2] }))
    expect(otherwise({ x: [1], y: [2] })).toBe(otherwise({ y: [2], x: [1] }))
    const shardOf = () => 'x'
    expect(custom({ shards: ['y', 'x'], shardOf }).bind(['integer']).print.rule).toBe('custom over x, y')
    const both = composite(hash({ shards: 2 }), list({ shards: { x: [1], y: [2] } })).bind(['integer', 'integer'])
    expect(both.print).toEqual({
      rule: '(hash of 2 shards) × (list)',
      owns: [' × ["1"]', ' × ["2"]', ' × ["1"]', ' × ["2"]'],
    })
  })
})
