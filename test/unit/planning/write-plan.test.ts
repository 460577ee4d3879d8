import { beforeAll, describe, expect, it } from 'vitest'
import { planWrite, type WriteFacts } from '../../../src/planning/write-plan'
import type { OperationWrite, StatementWrite } from '../../../src/query/write-query'
import { loadParser } from '../../../src/sql/parser'
import type { Shard } from '../../../src/topology/shard'

const shard = (index: number): Shard => ({
  name: `user_0${index}`,
  group: 'user',
  label: `0${index}`,
  index,
  node: index % 2 ? 'a' : 'b',
  layout: 'schema',
})

beforeAll(loadParser)

const facts: WriteFacts = {
  maintains: () => false,
  isInTransaction: false,
  hasRules: () => false,
  maxArms: 128,
}

const operation = (count: number, given: Partial<OperationWrite> = {}): OperationWrite => ({
  kind: 'operation',
  shards: Array.from({ length: count }, (_, index) => shard(index)),
  order: undefined,
  isHeard: false,
  ...given,
})

const statement = (count: number): StatementWrite => ({
  kind: 'statement',
  arms: Array.from({ length: count }, (_, index) => ({
    shard: shard(index),
    text: 'DELETE FROM "__shard__"."user"',
    parameters: [],
  })),
  united: { hasOwnTypes: false },
  alsoWritten: [],
  order: undefined,
  answer: { kind: 'update' },
})

describe("the plan of TypeORM's own operations", () => {
  it('is the operation as it is on one shard', () => {
    const plan = planWrite(operation(1), facts)
    expect(plan).toEqual({ kind: 'write', by: 'typeorm', shards: [shard(0)], inRounds: false })
    expect(Object.isFrozen(plan)).toBe(true)
  })

  it('is a transaction over the nodes of several shards, and over one shard whose lookups are kept', () => {
    const [one, two] = [operation(1), operation(2)]
    const parts = { kind: 'write', by: 'typeorm', shards: two.shards, inRounds: false }
    const base = { kind: 'transaction', scope: 'transaction', otherwise: undefined, pace: 'at-once' }
    expect(planWrite(two, facts)).toEqual({ ...base, nodes: ['a', 'b'], source: parts })
    expect(planWrite(one, { ...facts, maintains: (group) => group === 'user' })).toEqual({
      ...base,
      nodes: ['b'],
      source: { kind: 'lookups', shards: one.shards, source: { ...parts, shards: one.shards } },
    })
  })

  it('opens a transaction also where there is no shard to write', () => {
    expect(planWrite(operation(0), facts)).toMatchObject({ kind: 'transaction', nodes: [] })
  })

  it('has statements united, or else each shard its own, which cannot follow a failure in a transaction of the caller', () => {
    const query = statement(3)
    expect(planWrite(query, facts)).toMatchObject({
      source: { by: 'node', united: { hasOwnTypes: false } },
      pace: 'at-once-first',
      otherwise: { kind: 'transaction', source: { by: 'shard' }, otherwise: undefined },
    })
    expect(planWrite(query, { ...facts, isInTransaction: true })).toMatchObject({
      source: { by: 'node' },
      otherwise: undefined,
      pace: 'at-once',
    })
  })

  it('tells subscribers of several shards in rounds', () => {
    expect(planWrite(operation(2, { isHeard: true }), facts)).toMatchObject({
      source: { by: 'typeorm', inRounds: true },
      otherwise: undefined,
    })
  })

  it('is a savepoint where rows with an order are written, and lookups may refuse them later', () => {
    const kept = { ...facts, maintains: () => true }
    expect(planWrite(operation(2, { order: 'by-row' }), kept)).toMatchObject({ scope: 'savepoint' })
    expect(planWrite(operation(2, { order: 'by-row' }), facts)).toMatchObject({ scope: 'transaction' })
    expect(planWrite(operation(2, { order: 'by-kind' }), kept)).toMatchObject({ scope: 'transaction' })
  })
})
