import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { hash, loadHash, slotOfKey } from '../../../src/functions/hash'
import { isolating } from '../../../src/functions/isolated-keys'
import {
  declaredOwners,
  type GroupOwners,
  isolateOwners,
  mergeOwners,
  ownedBy,
  ownerLabels,
  slotCount,
  splitOwners,
} from '../../../src/topology/group-owners'
import { assignedOwners, evenOwners } from '../../../src/topology/unit-owners'

beforeAll(loadHash)

const labels = ['00', '01', '02']
const declared = declaredOwners(labels)

/** The label that owns a key, as a data source finds it. */
const ownerOf = (owners: GroupOwners, key: readonly string[]): string | undefined => {
  const all = ownerLabels(owners)
  const fn = isolating(
    hash({ shards: 3 }).bind(['text']),
    owners.keys.map(([own]) => own),
  )
  return all[assignedOwners(owners, all).shardOf(fn.unitOf(key)) ?? -1]
}

describe('owners of a group', () => {
  it('are at first those that the function declares', () => {
    const even = evenOwners(hash({ shards: 3 }).bind(['text']).spaces)
    const assigned = assignedOwners(declared, labels)
    for (let slot = 0; slot < 16_384; slot++) expect(assigned.shardOf(slot)).toBe(even.shardOf(slot))
  })

  it('halve the slots of a shard for two new ones', () => {
    const { owners, labels: made } = splitOwners(declared, '01', [2_731, 2_730])
    expect(made).toEqual(['03', '04'])
    expect(owners).toEqual({
      slots: [
        [0, '00'],
        [5_462, '03'],
        [8_193, '04'],
        [10_923, '02'],
      ],
      keys: [],
      next: 5,
    })
  })

  it('refuse parts that are not what the shard has', () => {
    expect(() => splitOwners(declared, '01', [1, 2])).toThrow('The 5461 slots of 01 cannot be 1 and 2.')
    expect(() => splitOwners(declared, '01', [5_461, 0])).toThrow(RangeError)
  })

  it('give a key a shard for itself, whose slot still finds it', () => {
    expect(ownerOf(declared, ['acme'])).toBe('00')
    const { owners, labels: made } = isolateOwners(declared, '00', [['acme']])
    const [rest = '', own = ''] = made
    expect([rest, own]).toEqual(['03', '04'])
    expect(ownerOf(owners, ['acme'])).toBe('04')
    const all = ownerLabels(owners)
    const shards = assignedOwners(owners, all).shardsOfSlots([slotOfKey(['acme'])])
    expect(shards.map((index) => all[index])).toContain('04')
    expect(shards).toHaveLength(2)
    expect(mergeOwners(owners, [rest, own]).owners).toEqual({
      slots: [
        [0, '05'],
        [5_462, '01'],
        [10_923, '02'],
      ],
      keys: [],
      next: 6,
    })
  })

  it('keep every slot and key with one shard, and give no label twice, whatever is done', () => {
    const step = fc.tuple(
      fc.constantFrom('split', 'isolate', 'merge'),
      fc.integer({ min: 0, max: 99 }),
      fc.integer({ min: 0, max: 99 }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let owners = declared
        const given = new Set(labels)
        for (const [kind, one, other] of steps) {
          const all = ownerLabels(owners)
          const label = all[one % all.length] ?? ''
          const width = slotCount(owners, label)
          const before = owners
          if (kind === 'split' && width > 1) {
            const first = 1 + (other % (width - 1))
            const made = splitOwners(owners, label, [first, width - first])
            owners = made.owners
            expect(made.labels.map((name) => slotCount(owners, name))).toEqual([first, width - first])
          } else if (kind === 'isolate') {
            const key = [`k${other}`]
            owners = isolateOwners(owners, ownerOf(owners, key) ?? '', [key]).owners
            expect(ownedBy(owners, ownerOf(owners, key) ?? '').keys).toContainEqual(key)
          } else if (kind === 'merge') {
            owners = mergeOwners(owners, [label, all[other % all.length] ?? '']).owners
          }
          if (owners === before) continue
          const now = ownerLabels(owners)
          for (const name of now) {
            if (all.includes(name)) expect(ownedBy(owners, name)).toEqual(ownedBy(before, name))
            else expect(given.has(name)).toBe(false)
          }
          for (const name of now) given.add(name)
          expect(now.reduce((sum, name) => sum + slotCount(owners, name), 0)).toBe(16_384)
          expect(owners.slots[0]?.[0]).toBe(0)
        }
      }),
    )
  })
})
