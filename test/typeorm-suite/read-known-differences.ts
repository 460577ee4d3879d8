import type { KnownDifferences } from './compare-runs'
import data from './known-differences.json'
import type { RunMode } from './run-tests'

interface KnownReason {
  readonly reason: string
  readonly modes: readonly string[]
  readonly tests: readonly string[]
}

const known: readonly KnownReason[] = data

/** The tests of `known-differences.json` that may fail in a mode, with their reasons. */
export const readKnownDifferences = (mode: RunMode): KnownDifferences =>
  new Map(
    known
      .filter(({ modes }) => modes.includes(mode))
      .flatMap(({ reason, tests }) => tests.map((test) => [test, reason] as const)),
  )
