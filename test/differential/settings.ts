/** How much the differential test does. */
export interface Settings {
  readonly seed: number
  /** Of all configurations together. */
  readonly operations: number
  /** Of each sharding function's entities, on two databases without shards. */
  readonly plainOperations: number
  /** Of one configuration: then it ends. */
  readonly mostFailures: number
  readonly showsFigures: boolean
}

/** In a run without a seed of its own: the same cases each time. */
const usualSeed = 20_240_229
const usualOperations = 1_000
/** Beside so many others one of a hundred is enough to see that operations have one answer. */
const plainShare = 1 / 100

/**
 * From the environment. `DIFFERENTIAL_OPS` asks for a longer run, which has a seed of its own, the millisecond at which it
 * started; `DIFFERENTIAL_SEED` repeats one.
 */
export function settings(): Settings {
  const { DIFFERENTIAL_OPS, DIFFERENTIAL_SEED, DIFFERENTIAL_FAILURES, DIFFERENTIAL_FIGURES } = process.env
  const isLong = DIFFERENTIAL_OPS !== undefined && DIFFERENTIAL_SEED === undefined
  const operations = Number(DIFFERENTIAL_OPS ?? usualOperations)
  return {
    seed: isLong ? Date.now() % 2 ** 32 : Number(DIFFERENTIAL_SEED ?? usualSeed),
    operations,
    plainOperations: Math.ceil(operations * plainShare),
    mostFailures: Number(DIFFERENTIAL_FAILURES ?? 2),
    showsFigures: DIFFERENTIAL_FIGURES !== undefined,
  }
}
