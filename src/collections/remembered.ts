interface Entry<Value> {
  readonly value: Value
  readonly weight: number
  /** Since it was last looked at for what may go. */
  isUsed: boolean
}

interface Bounds<Value> {
  /** Of all values together. */
  readonly maxWeight: number
  /** Of one value; without it each weighs 1. */
  readonly weightOf?: (value: Value, key: string) => number
}

/** What is remembered for each of some owners, as long as they are there, each within the same bounds. */
export class RememberedOf<Owner extends object, Value> {
  private readonly all = new WeakMap<Owner, Remembered<Value>>()

  constructor(private readonly bounds: Bounds<Value>) {}

  of(owner: Owner): Remembered<Value> {
    const known = this.all.get(owner)
    if (known) return known
    const made = new Remembered<Value>(this.bounds)
    this.all.set(owner, made)
    return made
  }
}

/**
 * What was made for a key, to be found again. Bounded by weight, since a text of many shards weighs a thousand times one of
 * a single table. What goes is chosen by second chance (the clock algorithm): nearly the least recently used, without
 * moving an entry each time it is found.
 *
 * @example new Remembered<Plan>({ maxWeight: 4_000_000, weightOf: (plan) => plan.text.length })
 */
export class Remembered<Value> {
  private readonly entries = new Map<string, Entry<Value>>()
  private weight = 0

  constructor(private readonly bounds: Bounds<Value>) {}

  get size(): number {
    return this.entries.size
  }

  get(key: string): Value | undefined {
    const entry = this.entries.get(key)
    if (!entry) return undefined
    entry.isUsed = true
    return entry.value
  }

  /** A value that weighs more than all may together is not remembered. @returns what had to go for it */
  set(key: string, value: Value): readonly Value[] {
    this.delete(key)
    const { maxWeight, weightOf } = this.bounds
    const weight = weightOf?.(value, key) ?? 1
    if (weight > maxWeight) return []
    const gone = this.makeRoom(maxWeight - weight)
    this.entries.set(key, { value, weight, isUsed: false })
    this.weight += weight
    return gone
  }

  /** @returns false where it was not known */
  delete(key: string): boolean {
    this.weight -= this.entries.get(key)?.weight ?? 0
    return this.entries.delete(key)
  }

  clear(): void {
    this.entries.clear()
    this.weight = 0
  }

  /** A used entry goes to the end once, as one that is not: this ends after two rounds at most. */
  private makeRoom(allowed: number): readonly Value[] {
    const gone: Value[] = []
    for (const [key, entry] of this.entries) {
      if (this.weight <= allowed) break
      this.entries.delete(key)
      if (entry.isUsed) {
        entry.isUsed = false
        this.entries.set(key, entry)
      } else {
        this.weight -= entry.weight
        gone.push(entry.value)
      }
    }
    return gone
  }
}
