/**
 * What was made for a key, to be found again: the least recently used goes first. Bounded by weight, since a text of many
 * shards weighs a thousand times one of a single table.
 *
 * @example new Remembered<Plan>({ maxWeight: 4_000_000, weightOf: (plan) => plan.text.length })
 */
export class Remembered<Value> {
  private readonly entries = new Map<string, { readonly value: Value; readonly weight: number }>()
  private weight = 0

  constructor(
    private readonly settings: {
      /** Of all values together. */
      readonly maxWeight: number
      /** Of one value; without it each weighs 1. */
      readonly weightOf?: (value: Value, key: string) => number
    },
  ) {}

  get(key: string): Value | undefined {
    const entry = this.entries.get(key)
    if (!entry) return undefined
    this.entries.delete(key)
    this.entries.set(key, entry)
    return entry.value
  }

  /** A value that weighs more than all may together is not remembered. */
  set(key: string, value: Value): void {
    this.delete(key)
    const { maxWeight, weightOf } = this.settings
    const weight = weightOf?.(value, key) ?? 1
    if (weight > maxWeight) return
    this.entries.set(key, { value, weight })
    this.weight += weight
    for (const oldest of this.entries.keys()) {
      if (this.weight <= maxWeight) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    this.weight -= this.entries.get(key)?.weight ?? 0
    this.entries.delete(key)
  }
}
