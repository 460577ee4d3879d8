import type { FreshDatabases } from '../../test/support/fresh-databases'

/** How large a bench is: `full` for figures to quote, `quick` while working, `tiny` to see that it runs at all. */
export type Scale = 'full' | 'quick' | 'tiny'

/** What a measure has to reach. */
export type Target = { readonly atLeast: number } | { readonly atMost: number }

/** One line of the report: the median over the rounds, and the smallest and largest round. */
export interface Measure {
  readonly name: string
  /** What the number is: `× throughput` and `× time` are ratios of the two sides of one round. */
  readonly unit: '× throughput' | '× time' | '× faster' | 'µs' | 'ms' | 's' | 'MiB'
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: number
  /** The medians of both sides, to read beside the ratio. */
  readonly detail: string
  /** None: only for the record. */
  readonly target?: Target
  /** Whose time it is, where several peers do the work `name`: it then stands in the table of peers. */
  readonly peer?: string
  /** The code with which ours refuses the work; there are no figures then. */
  readonly refused?: string
}

export interface BenchContext {
  readonly scale: Scale
  /** Databases of this bench: two nodes, each on a server of its own, and one for plain TypeORM on the first server. */
  readonly databases: FreshDatabases
}

export interface Bench {
  readonly name: string
  run(context: BenchContext): Promise<readonly Measure[]>
}

export const meets = ({ median, target, refused }: Pick<Measure, 'median' | 'target' | 'refused'>): boolean =>
  refused === undefined &&
  (target === undefined || ('atLeast' in target ? median >= target.atLeast : median <= target.atMost))
