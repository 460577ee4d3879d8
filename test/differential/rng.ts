/** Random numbers that a seed repeats. */
export interface Rng {
  /** A whole number from 0 to before `below`. */
  int(below: number): number
  /** True once in so many times. */
  oneIn(times: number): boolean
  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T
  /** Some members of the list, in its order; at the most `most`. */
  some<T>(list: readonly T[], most: number): T[]
  /** One of the makers, by weight. */
  weighted<T>(choices: readonly (readonly [weight: number, make: () => T])[]): T
}

/** mulberry32: small, fast, and good enough to choose test cases. */
export const createRng = (seed: number): Rng => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (below: number): number => Math.floor(next() * below)
  const pick = <T>(list: readonly T[]): T => {
    const index = int(list.length)
    if (list.length === 0) throw new RangeError('There is nothing to pick from.')
    return list[index] as T
  }
  return Object.freeze({
    int,
    pick,
    oneIn: (times: number) => int(times) === 0,
    some: <T>(list: readonly T[], most: number): T[] => {
      const chosen = new Set(Array.from({ length: 1 + int(most) }, () => int(list.length)))
      return list.filter((_, index) => chosen.has(index))
    },
    weighted: <T>(choices: readonly (readonly [number, () => T])[]): T => {
      let left = next() * choices.reduce((sum, [weight]) => sum + weight, 0)
      for (const [weight, make] of choices) {
        left -= weight
        if (left < 0) return make()
      }
      return pick(choices)[1]()
    },
  })
}

/** A seed of its own for each part of a run, so that parts can be repeated alone. */
export const seedOf = (seed: number, ...parts: readonly (string | number)[]): number => {
  let hash = seed >>> 0
  for (const character of parts.join('/')) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0
  return hash
}
