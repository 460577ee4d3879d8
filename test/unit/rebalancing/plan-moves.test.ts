import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { type MovePlan, type PlanInput, type PlannedShard, planMoves } from '../../../src/rebalancing/plan-moves'

const shard = (name: string, node: string, given: Partial<PlannedShard> = {}): PlannedShard => ({
  name,
  node,
  unit: name,
  rows: 100,
  bytes: 1_000,
  load: 0,
  ...given,
})

const input = (given: Partial<PlanInput>): PlanInput => ({
  by: 'count',
  threshold: 0.1,
  epoch: 3,
  nodes: [],
  shards: [],
  maxMoves: 1_000,
  ...given,
})

const movesOf = ({ moves }: MovePlan) => moves.map(({ shard: name, from, to }) => `${name} ${from}→${to}`)

const numbered = (count: number, node: string) => Array.from({ length: count }, (_, n) => shard(`s${n}`, node))

describe('a plan of moves', () => {
  it('brings shards to a node that was added, one after the other, and says why', () => {
    const plan = planMoves(input({ nodes: ['a', 'b'].map((name) => ({ name, weight: 1 })), shards: numbered(4, 'a') }))
    expect(plan).toEqual({
      by: 'count',
      threshold: 0.1,
      epoch: 3,
      moves: [
        {
          shard: 's0',
          from: 'a',
          to: 'b',
          step: 1,
          reason: 'node a has 100 % of the shards, and 50 % are due to it; node b has 0 % of 50 %',
          rows: 100,
          bytes: 1_000,
          before: { leaving: 0, imbalance: 1, skew: 2 },
          after: { leaving: 0, imbalance: 0.25, skew: 1.5 },
        },
        {
          shard: 's1',
          from: 'a',
          to: 'b',
          step: 2,
          reason: 'node a has 75 % of the shards, and 50 % are due to it; node b has 25 % of 50 %',
          rows: 100,
          bytes: 1_000,
          before: { leaving: 0, imbalance: 0.25, skew: 1.5 },
          after: { leaving: 0, imbalance: 0, skew: 1 },
        },
      ],
      kept: [],
      before: { leaving: 0, imbalance: 1, skew: 2 },
      after: { leaving: 0, imbalance: 0, skew: 1 },
      isBalanced: true,
    })
    expect([plan, plan.moves, plan.moves[0], plan.before].every(Object.isFrozen)).toBe(true)
  })

  it('spreads by weight', () => {
    const nodes = [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 3 },
    ]
    const plan = planMoves(input({ nodes, shards: numbered(8, 'a') }))
    expect(plan.moves).toHaveLength(6)
    expect(plan.after.skew).toBe(1)
  })

  it('moves what improves most for its bytes: of the same load the smaller shard', () => {
    const shards = [
      shard('large', 'a', { load: 10, bytes: 10 * 1024 ** 3 }),
      shard('small', 'a', { load: 10, bytes: 1024 }),
      shard('other', 'b', { load: 1 }),
    ]
    const nodes = ['a', 'b'].map((name) => ({ name, weight: 1 }))
    expect(movesOf(planMoves(input({ by: 'load', nodes, shards })))).toEqual(['small a→b'])
  })

  it('moves one large shard rather than many small ones that do no more', () => {
    const MB = 1024 ** 2
    const shards = [
      ...Array.from({ length: 64 }, (_, n) => shard(`tiny${n}`, 'a', { bytes: MB / 4 })),
      shard('large', 'a', { bytes: 16 * MB }),
    ]
    const nodes = ['a', 'b'].map((name) => ({ name, weight: 1 }))
    expect(movesOf(planMoves(input({ by: 'bytes', nodes, shards })))).toEqual(['large a→b'])
  })

  it('moves the shards of a unit together if they lie together, and alone if they do not', () => {
    const nodes = ['a', 'b'].map((name) => ({ name, weight: 1 }))
    const together = ['u', 'u', 'v', 'v'].map((unit, n) => shard(`s${n}`, 'a', { unit }))
    const plan = planMoves(input({ nodes, shards: together }))
    expect(plan.moves.map(({ shard: name, step }) => [name, step])).toEqual([
      ['s0', 1],
      ['s1', 1],
    ])
    const apart = [shard('p', 'a', { unit: 'u' }), shard('q', 'b', { unit: 'u' }), shard('x', 'a'), shard('y', 'a')]
    expect(movesOf(planMoves(input({ nodes, shards: apart })))).toEqual(['p a→b'])
  })

  it('leaves what is pinned, with its unit, and says so where it was to leave', () => {
    const nodes = [
      { name: 'a', weight: 0 },
      { name: 'b', weight: 1 },
    ]
    const shards = [
      shard('p', 'a', { unit: 'u', fixed: 'the options place it on node a' }),
      shard('q', 'a', { unit: 'u' }),
      shard('r', 'a'),
    ]
    const plan = planMoves(input({ nodes, shards }))
    expect(movesOf(plan)).toEqual(['r a→b'])
    expect(plan.moves[0]?.reason).toBe('node a has the weight 0')
    expect(plan.kept).toEqual([
      { shard: 'p', node: 'a', reason: 'the options place it on node a' },
      { shard: 'q', node: 'a', reason: 'the options place it on node a' },
    ])
    expect(plan.isBalanced).toBe(false)
  })

  it('empties a node that is drained, and leaves all others as they are', () => {
    const nodes = [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 1 },
      { name: 'c', weight: 1, isDrained: true },
    ]
    const shards = [...numbered(6, 'a'), shard('x', 'c'), shard('y', 'c')]
    const plan = planMoves(input({ nodes, shards }))
    expect(movesOf(plan)).toEqual(['x c→b', 'y c→b'])
    expect(plan.moves[0]?.reason).toBe('node c gives all of its shards away')
    expect(plan.after.leaving).toBe(0)
  })

  it('gives the shards of a drained node to nodes of weight 0 where there are no others', () => {
    const nodes = [
      { name: 'a', weight: 0 },
      { name: 'b', weight: 1, isDrained: true },
    ]
    expect(movesOf(planMoves(input({ nodes, shards: numbered(2, 'b') })))).toEqual(['s0 b→a', 's1 b→a'])
  })

  it('fills no node above its capacity', () => {
    const nodes = [
      { name: 'a', weight: 1, isDrained: true },
      { name: 'b', weight: 1, capacity: { bytes: 2_500 } },
      { name: 'c', weight: 1, capacity: { rows: 100 } },
    ]
    const plan = planMoves(input({ nodes, shards: numbered(4, 'a') }))
    expect(movesOf(plan)).toEqual(['s0 a→b', 's1 a→c', 's2 a→b'])
    expect(plan.kept).toEqual([{ shard: 's3', node: 'a', reason: 'no node has room for it' }])
  })

  it('has no more moves than it may', () => {
    const nodes = ['a', 'b'].map((name) => ({ name, weight: 1 }))
    expect(planMoves(input({ nodes, shards: numbered(8, 'a'), maxMoves: 3 })).moves).toHaveLength(3)
  })
})

const nodeNames = ['a', 'b', 'c', 'd']

const anyInput: fc.Arbitrary<PlanInput> = fc
  .record({
    by: fc.constantFrom('rows', 'bytes', 'load', 'count'),
    threshold: fc.constantFrom(0, 0.05, 0.1, 0.5),
    weights: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 }),
    drained: fc.option(fc.nat(3), { nil: undefined, freq: 3 }),
    capacity: fc.option(
      fc.record({ rows: fc.integer({ min: 0, max: 500 }), bytes: fc.integer({ min: 0, max: 5_000 }) }),
      {
        nil: undefined,
      },
    ),
    shards: fc.array(
      fc.record({
        node: fc.nat(3),
        unit: fc.nat(9),
        rows: fc.integer({ min: 0, max: 100 }),
        bytes: fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 0, max: 2 ** 32 })),
        load: fc.integer({ min: 0, max: 50 }),
        isFixed: fc.nat(9).map((n) => n === 0),
      }),
      { maxLength: 30 },
    ),
  })
  .filter(
    ({ weights, drained = -1 }) =>
      weights.some((weight, n) => weight > 0 && n !== drained) || (drained >= 0 && drained < weights.length),
  )
  .map(({ weights, drained, shards, capacity, ...rest }) => ({
    ...rest,
    epoch: 1,
    maxMoves: 1_000,
    nodes: weights.map((weight, n) => ({
      name: nodeNames[n] ?? '',
      weight,
      isDrained: n === drained,
      ...(n === 1 && { capacity }),
    })),
    shards: shards.map(({ node, unit, isFixed, ...sizes }, n) => ({
      ...sizes,
      name: `s${String(n).padStart(2, '0')}`,
      unit: `u${unit}`,
      node: nodeNames[node % weights.length] ?? '',
      ...(isFixed && { fixed: 'pinned' }),
    })),
  }))

const apply = ({ shards, ...rest }: PlanInput, { moves }: MovePlan): PlanInput => {
  const to = new Map(moves.map((move) => [move.shard, move.to]))
  return { ...rest, shards: shards.map((one) => ({ ...one, node: to.get(one.name) ?? one.node })) }
}

const placesOf = ({ shards }: PlanInput) => new Map(shards.map(({ name, node }) => [name, node]))

const sizeOn = ({ shards }: PlanInput, node: string, of: 'rows' | 'bytes') =>
  shards.reduce((sum, one) => (one.node === node ? sum + one[of] : sum), 0)

describe('every plan', () => {
  test('improves the balance with each step, ends, and moves no shard twice', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const { moves, before, after } = planMoves(given)
        const places = placesOf(given)
        let balance = before
        for (const [index, move] of moves.entries()) {
          expect(places.get(move.shard)).toBe(move.from)
          expect(move.to).not.toBe(move.from)
          if (move.step !== moves[index - 1]?.step) {
            expect(move.before).toEqual(balance)
            expect([
              move.after.leaving < balance.leaving,
              move.after.leaving === balance.leaving && move.after.imbalance < balance.imbalance,
            ]).toContain(true)
            balance = move.after
          } else expect([move.before, move.after]).toEqual([moves[index - 1]?.before, balance])
        }
        expect(after).toEqual(balance)
        expect(new Set(moves.map((move) => move.shard)).size).toBe(moves.length)
      }),
      { numRuns: 500 },
    )
  })

  test('moves nothing that is even within the threshold, nor after a plan that has made it so', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const plan = planMoves(given)
        if (plan.before.leaving === 0 && plan.before.skew <= 1 + given.threshold) expect(plan.moves).toEqual([])
        const again = planMoves(apply(given, plan))
        expect(again.before.leaving).toBe(plan.after.leaving)
        expect(again.before.skew).toBeCloseTo(plan.after.skew)
        if (plan.isBalanced) expect(again.moves).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('is the same for the same input, in whatever order the shards come', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const reversed = { ...given, shards: [...given.shards].reverse() }
        const moves = ({ moves: all }: MovePlan) =>
          new Set(all.map(({ shard: name, to, step }) => `${name} ${to} ${step}`))
        expect(planMoves(given)).toEqual(planMoves(given))
        expect(moves(planMoves(reversed))).toEqual(moves(planMoves(given)))
      }),
    )
  })

  test('respects weights, pins, units and capacities', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const plan = planMoves(given)
        const places = apply(given, plan)
        const isDraining = given.nodes.some(({ isDrained }) => isDrained)
        const others = given.nodes.filter(({ isDrained, weight }) => !isDrained && weight > 0)
        for (const { to, from, shard: name } of plan.moves) {
          const target = given.nodes.find((node) => node.name === to)
          expect(target?.isDrained).not.toBe(true)
          if (target?.weight === 0) expect([isDraining, others]).toEqual([true, []])
          if (isDraining) expect(given.nodes.find((node) => node.name === from)?.isDrained).toBe(true)
          expect(given.shards.find((one) => one.name === name)?.fixed).toBeUndefined()
        }
        for (const { name, capacity } of given.nodes) {
          for (const size of ['rows', 'bytes'] as const)
            expect(sizeOn(places, name, size)).toBeLessThanOrEqual(
              Math.max(sizeOn(given, name, size), capacity?.[size] ?? Number.POSITIVE_INFINITY),
            )
        }
        for (const unit of new Set(given.shards.map((one) => one.unit))) {
          const nodesOf = ({ shards }: PlanInput) =>
            new Set(shards.filter((one) => one.unit === unit).map(({ node }) => node)).size
          if (nodesOf(given) === 1) expect(nodesOf(places)).toBe(1)
        }
        if (given.nodes.every(({ capacity }) => !capacity) && given.nodes.some(({ isDrained }) => !isDrained))
          expect(plan.kept.every(({ reason }) => reason === 'pinned')).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})
