import { describe, expect, it } from 'vitest'
import { Bag, nowhere } from '../../../src/endpoints/connection-pool'

const things = (...names: string[]) => names.map((name) => ({ name, place: nowhere }))

describe('a bag', () => {
  const bagOf = (...names: string[]) => {
    const bag = new Bag<{ name: string; place: number }>()
    const list = things(...names)
    for (const one of list) bag.add(one)
    return { bag, list, names: () => bag.all().map(({ name }) => name) }
  }

  it('holds what was added and not taken out, whatever goes first', () => {
    for (const [index, gone] of [...'abc'].entries()) {
      const { bag, list, names } = bagOf(...'abc')
      const [one] = list.slice(index)
      expect(one && bag.delete(one)).toBe(true)
      expect([...names()].sort()).toEqual([...'abc'].filter((name) => name !== gone))
      for (const other of list) if (other !== one) expect(bag.delete(other)).toBe(true)
      expect(bag.size).toBe(0)
    }
  })

  it('says false of what is not in it, and takes it again', () => {
    const { bag, list, names } = bagOf('a', 'b')
    const [a] = list
    const [never] = things('c')
    if (!a || !never) throw new RangeError('two things')
    expect([bag.delete(a), bag.delete(a), bag.delete(never)]).toEqual([true, false, false])
    bag.add(a)
    expect(names()).toEqual(['b', 'a'])
  })

  it('is read as it was, while what is read goes', () => {
    const { bag } = bagOf('a', 'b', 'c')
    const seen: string[] = []
    for (const one of bag.all()) {
      seen.push(one.name)
      bag.delete(one)
    }
    expect([seen, bag.size]).toEqual([['a', 'b', 'c'], 0])
  })
})
