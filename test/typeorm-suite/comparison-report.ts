import type { Comparison } from './compare-runs'
import type { RunMode } from './run-tests'

const titles: Readonly<Record<RunMode, string>> = {
  plain: 'plain',
  automatic: 'two nodes, entities sharded where @ShardKey() on their primary key suffices',
  home: 'two nodes, entities as they are (on the home node)',
}

/** What the script prints of a comparison, line by line. */
export const comparisonReport = (mode: RunMode, comparison: Comparison): readonly string[] => [
  '',
  `${titles[mode]}:`,
  `  plain pass ${comparison.plainPassed}, sharded pass ${comparison.shardedPassed}, known to differ ${comparison.known.length}`,
  ...comparison.unexpected.map(
    ({ test, error }) =>
      `  DIFFERS ${test}\n    ${error ? `${error.code ?? error.name}: ${error.message}` : 'not run'}`,
  ),
  ...comparison.outdated.map((test) => `  PASSES, and is known to differ: ${test}`),
]
