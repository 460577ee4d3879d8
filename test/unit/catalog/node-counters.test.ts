import { describe, expect, it } from 'vitest'
import { hasLost, lostStates } from '../../../src/catalog/node-counters'

/** A node, and what it has stored: `a: 3x` is that database a has counted to 3, with the mark x. */
const node = (identity: string, stored: Readonly<Record<string, string>>) => ({
  identity,
  databases: new Map(
    Object.entries(stored).map(([id, text]) => [id, { count: Number.parseInt(text, 10), mark: text.slice(-1) }]),
  ),
})

describe('databases that have counted', () => {
  it('have lost nothing where they are as far as others remember, or further', () => {
    const nodes = new Map([
      ['left', node('a', { a: '3x', b: '4y' })],
      ['right', node('b', { a: '2w', b: '5z' })],
    ])
    expect(lostStates(nodes)).toEqual([])
    expect(lostStates(new Map([['only', node('a', { a: '3x' })]]))).toEqual([])
    expect(lostStates(new Map([...nodes, ['new', node('c', {})]]))).toEqual([])
  })

  it('have lost something where any other node remembers more, and the one that remembers most is named', () => {
    const nodes = new Map([
      ['left', node('a', { a: '3x', b: '6v' })],
      ['middle', node('c', { c: '1m', b: '7u' })],
      ['right', node('b', { a: '3x', b: '5z' })],
    ])
    const lost = { node: 'right', count: 5, witness: 'middle', remembered: 7, mark: 'u' }
    expect(lostStates(nodes)).toEqual([lost])
    expect(hasLost(node('b', { b: '6v' }), lost)).toBe(true)
    expect(hasLost(node('b', { b: '7u' }), lost)).toBe(false)
    expect(hasLost(node('b', { b: '7t' }), lost)).toBe(true)
  })

  it('have gone on otherwise where the same number has another mark, and have nothing where they have no row', () => {
    const nodes = new Map([
      ['left', node('a', { a: '3x', b: '4y' })],
      ['right', node('b', { a: '3w' })],
    ])
    expect(lostStates(nodes).map(({ node: name, count, remembered }) => [name, count, remembered])).toEqual([
      ['left', 3, 3],
      ['right', 0, 4],
    ])
  })
})
