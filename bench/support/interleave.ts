import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Measure, Target } from './bench'
import { medianOf, spreadOf } from './statistics'

setFlagsFromString('--expose-gc')
const collect: (options?: { readonly type: 'minor' }) => void = runInNewContext('gc')

/** One side of a comparison: the same work in each round; `round` is there for work that needs new rows. */
export type Side = (round: number) => Promise<void>

export interface Rounds {
  readonly rounds: number
  readonly warmups: number
}

/**
 * Times the sides in turns: A B, B A, A B … A neighbour that takes the machine for a second then slows all, and the
 * ratio of a round stays fair. Young garbage is collected before each side, so that none pays for the other's. A whole
 * collection would drop the hidden classes that no object has just then, and the machine code made for them: the round would
 * tell how fast V8 compiles, three times as long as the work, and not what a server does in its second minute.
 */
export const interleaveAll = async (
  sides: readonly Side[],
  { rounds, warmups }: Rounds,
): Promise<readonly (readonly Cost[])[]> => {
  const costs: (readonly Cost[])[] = []
  for (let round = 0; round < warmups + rounds; round++) {
    const isBackwards = round % 2 === 1
    const ofRound: Cost[] = []
    for (const side of isBackwards ? sides.toReversed() : sides) ofRound.push(await costOf(side, round))
    if (round >= warmups) costs.push(isBackwards ? ofRound.toReversed() : ofRound)
  }
  return costs
}

/** What one side of one round took: milliseconds, and microseconds of processor time of this process. */
export interface Cost {
  readonly elapsed: number
  readonly cpu: number
}

const costOf = async (side: Side, round: number): Promise<Cost> => {
  collect({ type: 'minor' })
  const before = process.cpuUsage()
  const started = performance.now()
  await side(round)
  const elapsed = performance.now() - started
  const { user, system } = process.cpuUsage(before)
  return { elapsed, cpu: user + system }
}

/** Two sides in turns. */
export const interleave = async (sides: readonly [Side, Side], rounds: Rounds): Promise<Times> => {
  const costs = await interleaveAll(sides, rounds)
  const pairs = (of: (cost: Cost) => number): readonly Pair[] =>
    costs.map(([ours = nothing, theirs = nothing]) => [of(ours), of(theirs)])
  return { elapsed: pairs(({ elapsed }) => elapsed), cpu: pairs(({ cpu }) => cpu) }
}

const nothing: Cost = { elapsed: Number.NaN, cpu: Number.NaN }

type Pair = readonly [number, number]

interface Times {
  /** Milliseconds of both sides, a pair a round. */
  readonly elapsed: readonly Pair[]
  /** Microseconds of processor time of this process: what the client itself costs, whatever else runs here. */
  readonly cpu: readonly Pair[]
}

interface Comparison {
  readonly name: string
  readonly target?: Target
  /** Operations in a round: the detail then gives operations a second, else milliseconds a round. */
  readonly operations: number
}

const detailOf = ({ elapsed, cpu }: Times, operations: number, asRate: boolean): string => {
  const figure = (side: 0 | 1): string => {
    const ms = medianOf(elapsed.map((pair) => pair[side]))
    return asRate ? `${Math.round((operations / ms) * 1000)} op/s` : `${(ms / operations).toFixed(2)} ms`
  }
  const client = medianOf(cpu.map(([ours, theirs]) => ours / theirs))
  return `${figure(0)} ÷ ${figure(1)}, client CPU × ${client.toFixed(2)}`
}

/** Ours ÷ theirs in operations a second: more is better. */
export const throughput = async (
  { name, target, operations }: Comparison,
  sides: readonly [Side, Side],
  rounds: Rounds,
): Promise<Measure> => {
  const times = await interleave(sides, rounds)
  const ratios = times.elapsed.map(([ours, theirs]) => theirs / ours)
  return {
    name,
    unit: '× throughput',
    ...spreadOf(ratios),
    detail: detailOf(times, operations, true),
    ...(target && { target }),
  }
}

/** Ours ÷ theirs in time: less is better. */
export const time = async (
  { name, target, operations }: Comparison,
  sides: readonly [Side, Side],
  rounds: Rounds,
): Promise<Measure> => {
  const times = await interleave(sides, rounds)
  const ratios = times.elapsed.map(([ours, theirs]) => ours / theirs)
  return {
    name,
    unit: '× time',
    ...spreadOf(ratios),
    detail: detailOf(times, operations, false),
    ...(target && { target }),
  }
}

/** Theirs ÷ ours in time: how many times faster ours is. */
export const faster = async (
  comparison: Comparison,
  sides: readonly [Side, Side],
  rounds: Rounds,
): Promise<Measure> => {
  const { unit: _, ...measure } = await throughput(comparison, sides, rounds)
  return { ...measure, unit: '× faster' }
}

/** Runs `operations` calls, `concurrency` of them at any time. */
export const atOnce = async (
  operations: number,
  concurrency: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> => {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < operations) await work(next++)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

/** Microseconds a call of something synchronous. */
export const microseconds = (
  { name, target, operations }: Comparison,
  work: (index: number) => unknown,
  { rounds, warmups }: Rounds,
): Measure => {
  const values: number[] = []
  let sink: unknown
  for (let round = 0; round < warmups + rounds; round++) {
    const started = performance.now()
    for (let index = 0; index < operations; index++) sink = work(index)
    if (round >= warmups) values.push(((performance.now() - started) * 1000) / operations)
  }
  if (sink === undefined) throw new Error(`${name} gave nothing.`)
  return { name, unit: 'µs', ...spreadOf(values), detail: `${operations} calls a round`, ...(target && { target }) }
}

/** Bytes of live objects. */
export const heapInUse = (): number => {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
