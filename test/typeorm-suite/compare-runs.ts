import type { Outcome, TestError } from './test-run'

/** Tests that pass plain and may fail sharded, by mode, with the reason. */
export type KnownDifferences = ReadonlyMap<string, string>

export interface Difference {
  readonly test: string
  readonly error: TestError | undefined
}

export interface Comparison {
  readonly plainPassed: number
  readonly shardedPassed: number
  /** Tests that pass plain and fail sharded, and are not known to. */
  readonly unexpected: readonly Difference[]
  /** Tests that pass plain, and fail sharded for a reason that is known. */
  readonly known: readonly string[]
  /** Tests that are known to fail sharded, and passed. */
  readonly outdated: readonly string[]
}

/** Compares two runs of the same tests. Tests that do not pass plain say nothing of shards. */
export function compareRuns(
  plain: ReadonlyMap<string, Outcome>,
  sharded: ReadonlyMap<string, Outcome>,
  reasons: KnownDifferences,
): Comparison {
  const passed = [...plain].flatMap(([test, { state }]) => (state === 'passed' ? [test] : []))
  const failed = passed.filter((test) => sharded.get(test)?.state !== 'passed')
  return Object.freeze({
    plainPassed: passed.length,
    shardedPassed: passed.length - failed.length,
    unexpected: failed.filter((test) => !reasons.has(test)).map((test) => ({ test, error: sharded.get(test)?.error })),
    known: failed.filter((test) => reasons.has(test)),
    outdated: [...reasons.keys()].filter((test) => sharded.get(test)?.state === 'passed'),
  })
}
