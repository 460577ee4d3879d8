import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { MovePlan } from '../../../src/rebalancing/plan-moves'
import { type PlanHost, type RanMove, runPlan } from '../../../src/rebalancing/run-plan'

const balance = { leaving: 0, imbalance: 0, skew: 1 }

const planOf = (...moves: readonly string[]): Pick<MovePlan, 'moves'> => ({
  moves: moves.map((text, index) => {
    const [shard = '', from = '', to = ''] = text.split(' ')
    return { shard, from, to, step: index + 1, reason: '', rows: 0, bytes: 0, before: balance, after: balance }
  }),
})

/** Shards that are moved at once, and what was called. */
const world = (places: Record<string, string>, open: readonly RanMove[] = []) => {
  const calls: string[] = []
  const running = { now: 0, most: 0 }
  const failing = new Set<string>()
  const during = new Map<string, () => void>()
  const run = async (call: string, move: RanMove): Promise<RanMove> => {
    calls.push(call)
    running.now += 1
    running.most = Math.max(running.most, running.now)
    await sleep(5)
    running.now -= 1
    during.get(move.shard)?.()
    if (failing.has(move.shard)) throw new Error('The disk is full.')
    places[move.shard] = move.to
    return { ...move, state: 'switched' }
  }
  const host: PlanHost<RanMove> = {
    placeOf: (shard) => places[shard],
    follow: async () => void calls.push('follow'),
    open: async () => open,
    move: (shard, to) => run(`move ${shard}`, { id: `m-${shard}`, shard, to, state: 'planned' }),
    resume: (id) =>
      run(`resume ${id}`, open.find((move) => move.id === id) ?? { id, shard: '', to: '', state: 'planned' }),
    finish: async (id) => {
      calls.push(`finish ${id}`)
      return { id, shard: id.slice(2), to: '', state: 'done' }
    },
  }
  return { host, calls, running, failing, during, places }
}

describe('the moves of a plan', () => {
  it('run one after the other, and those that are done are skipped', async () => {
    const { host, calls, running } = world({ x: 'a', y: 'b', z: 'a' })
    const result = await runPlan(planOf('x a b', 'y a b', 'z a b'), host)
    expect(calls).toEqual(['follow', 'move x', 'move z'])
    expect(result.moves.map(({ shard, state }) => [shard, state])).toEqual([
      ['x', 'switched'],
      ['z', 'switched'],
    ])
    expect(result.skipped).toEqual(['y'])
    expect(running.most).toBe(1)
  })

  it('run several at once, where this is asked for', async () => {
    const shards = Array.from({ length: 7 }, (_, n) => `s${n}`)
    const { host, running } = world(Object.fromEntries(shards.map((shard) => [shard, 'a'])))
    const { moves } = await runPlan(planOf(...shards.map((shard) => `${shard} a b`)), host, { parallel: 3 })
    expect(moves).toHaveLength(7)
    expect(running.most).toBe(3)
    for (const parallel of [0, 1.5, 5])
      await expect(runPlan(planOf(), host, { parallel })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
  })

  it('are none where a shard is elsewhere by now, or gone', async () => {
    const { host, calls } = world({ x: 'a', y: 'c' })
    await expect(runPlan(planOf('x a b', 'y a b'), host)).rejects.toMatchObject({
      code: 'PLAN_OUTDATED',
      details: { shard: 'y', from: 'a', to: 'b', node: 'c' },
    })
    await expect(runPlan(planOf('x a b', 'gone a b'), host)).rejects.toMatchObject({ code: 'PLAN_OUTDATED' })
    expect(calls).toEqual(['follow', 'follow'])
  })

  it('end with the first that fails, and go on when the plan is run again', async () => {
    const { host, calls, failing, places } = world({ w: 'a', x: 'a', y: 'a', z: 'a' })
    failing.add('x')
    const plan = planOf('w a b', 'x a b', 'y a b', 'z a b')
    await expect(runPlan(plan, host, { parallel: 2 })).rejects.toMatchObject({
      code: 'PLAN_INCOMPLETE',
      details: {
        shard: 'x',
        left: expect.arrayContaining(['z']),
        moves: expect.arrayContaining([expect.objectContaining({ shard: 'w' })]),
      },
      cause: expect.objectContaining({ message: 'The disk is full.' }),
    })
    expect(places['z']).toBe('a')
    failing.clear()
    calls.length = 0
    const { skipped } = await runPlan(plan, host)
    expect(skipped).toContain('w')
    expect(calls).not.toContain('move w')
    expect(places).toEqual({ w: 'b', x: 'b', y: 'b', z: 'b' })
  })

  it('are looked at anew before each', async () => {
    const { host, calls, during, places } = world({ x: 'a', y: 'a', z: 'a' })
    during.set('x', () => Object.assign(places, { y: 'b' }))
    expect((await runPlan(planOf('x a b', 'y a b', 'z a b'), host)).skipped).toEqual(['y'])
    expect(calls).toEqual(['follow', 'move x', 'move z'])
    const other = world({ x: 'a', y: 'a' })
    other.during.set('x', () => Object.assign(other.places, { y: 'c' }))
    await expect(runPlan(planOf('x a b', 'y a b'), other.host)).rejects.toMatchObject({
      code: 'PLAN_INCOMPLETE',
      cause: expect.objectContaining({ code: 'PLAN_OUTDATED' }),
    })
  })

  it('go on with what another call has begun, and finish what it has left', async () => {
    const open: readonly RanMove[] = [
      { id: 'm-x', shard: 'x', to: 'b', state: 'copying' },
      { id: 'm-y', shard: 'y', to: 'b', state: 'switched' },
      { id: 'm-q', shard: 'q', to: 'b', state: 'switched' },
    ]
    const { host, calls } = world({ x: 'a', y: 'b', z: 'a' }, open)
    await runPlan(planOf('x a b', 'y a b', 'z a b'), host, { finish: true })
    expect(calls).toEqual(['follow', 'finish m-y', 'resume m-x', 'finish m-x', 'move z', 'finish m-z'])
  })

  it('are ended by a signal, with its reason', async () => {
    const { host, calls, during } = world({ x: 'a', y: 'a' })
    const control = new AbortController()
    const reason = new Error('enough')
    during.set('x', () => control.abort(reason))
    await expect(runPlan(planOf('x a b', 'y a b'), host, { signal: control.signal })).rejects.toBe(reason)
    expect(calls).toEqual(['follow', 'move x'])
    await expect(runPlan(planOf('y a b'), host, { signal: control.signal })).rejects.toBe(reason)
  })
})
