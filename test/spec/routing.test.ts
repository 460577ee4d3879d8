import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { range } from '../../src/functions/range'
import type { Predicate } from '../../src/routing/predicate'
import { routePredicate } from '../../src/routing/route'
import { key, placedEntity } from '../unit/routing/sharded-entity'

/** A condition on the one key column of the cases: shards `one` [0, 10), `two` [10, 20), `three` [20, 30). */
interface Where {
  readonly '='?: number
  readonly in?: readonly number[]
  readonly between?: readonly [number, number]
  readonly and?: readonly Where[]
  readonly or?: readonly Where[]
}

interface Case {
  readonly name: string
  readonly where: Where
  readonly shards: readonly string[]
}

const labels = ['one', 'two', 'three']
const entity = placedEntity(range({ shards: { one: [0, 10], two: [10, 20], three: [20, 30] } }), ['integer'])

function predicate({ '=': value, in: list, between, and, or }: Where): Predicate {
  if (and) return { kind: 'and', of: and.map(predicate) }
  if (or) return { kind: 'or', of: or.map(predicate) }
  const values = value === undefined ? list : [value]
  if (values) return { kind: 'key', column: 0, constraint: { kind: 'values', keys: values.map((one) => key(one)) } }
  if (!between) return { kind: 'unknown' }
  const [from, to] = between.map((bound) => ({ key: key(bound), inclusive: true }))
  return { kind: 'key', column: 0, constraint: { kind: 'range', ...(from && { from }), ...(to && { to }) } }
}

const folder = join(__dirname, 'routing')
const files = readdirSync(folder).filter((name) => name.endsWith('.json'))

describe('routes as specified', () => {
  it('has cases', () => expect(files).not.toEqual([]))

  describe.each(files)('%s', (file) => {
    const cases: readonly Case[] = JSON.parse(readFileSync(join(folder, file), 'utf8'))
    it.each(cases)('$name', ({ where, shards }) => {
      const route = routePredicate(entity, predicate(where))
      expect(route.shards.map((index) => labels[index])).toEqual(shards)
    })
  })
})
