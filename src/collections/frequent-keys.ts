/** How often a key was met: between two bounds. */
export interface KeyCount {
  readonly key: string
  readonly atLeast: number
  readonly atMost: number
}

/** Longer keys are not counted, so that memory has a bound. */
export const maxKeyLetters = 256

/**
 * The keys that are met most often, in a memory of `2 · limit` keys, however many there are (Misra-Gries, with its subtractions done
 * for many keys at once). Of n keys that were added, a count is at most n / (limit + 1) too small; every key that was added more often
 * than that is there.
 *
 * @example
 * const keys = new FrequentKeys(64)
 * keys.add('42')
 * keys.top(10) // [{ key: '42', atLeast: 1, atMost: 1 }]
 */
export class FrequentKeys {
  private readonly counts = new Map<string, number>()
  private subtracted = 0

  constructor(private readonly limit: number) {}

  /** On the way of every operation: a look into a map, and another one to store. */
  add(key: string): void {
    if (key.length > maxKeyLetters) return
    const { counts } = this
    counts.set(key, (counts.get(key) ?? 0) + 1)
    if (counts.size > 2 * this.limit) this.subtract()
  }

  /** The keys with the greatest counts; of equal ones in the order of their texts. */
  top(size: number): readonly KeyCount[] {
    return [...this.counts]
      .sort(([a, times], [b, others]) => others - times || (a < b ? -1 : 1))
      .slice(0, size)
      .map(([key, times]) => Object.freeze({ key, atLeast: times, atMost: times + this.subtracted }))
  }

  /** Takes the same from all, so that `limit` keys are left at most: more than `limit` keys lose it whole. */
  private subtract(): void {
    const { counts, limit } = this
    const sorted = [...counts.values()].sort((a, b) => b - a)
    const least = sorted[limit] ?? 0
    this.subtracted += least
    for (const [key, times] of counts) {
      if (times > least) counts.set(key, times - least)
      else counts.delete(key)
    }
  }
}
