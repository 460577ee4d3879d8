import type { Json } from './operation'

/** Shrinking ends there. */
const mostRuns = 150
const mostMs = 20_000

/** A smaller value for which something still holds: parts are left out one after the other, as long as any can be. */
export async function shrink<Value>(value: Value, holds: (smaller: Value) => Promise<boolean>): Promise<Value> {
  const deadline = Date.now() + mostMs
  let best = value
  let runs = 0
  for (let again = true; again; ) {
    again = false
    for (const smaller of without(best as Json)) {
      if (runs >= mostRuns || Date.now() > deadline) return best
      runs += 1
      const candidate = smaller as Value // It is the same with a part left out; what makes no sense does not hold.
      if (!(await holds(candidate).catch(() => false))) continue
      best = candidate
      again = true
      break
    }
  }
  return best
}

/** The value without one of its parts, or with one that is smaller; the great ones first. */
function* without(value: Json): Generator<Json> {
  if (Array.isArray(value)) {
    const list: readonly Json[] = value
    if (list.length > 2) yield list.slice(0, list.length / 2)
    for (const index of list.keys()) yield list.filter((_, place) => place !== index)
    for (const [index, part] of list.entries())
      for (const smaller of without(part)) yield list.map((one, place) => (place === index ? smaller : one))
  } else if (typeof value === 'object' && value !== null) {
    if ('$op' in value || '$date' in value) return
    // An order stays whole: without a total one any rows may be the first.
    const entries = Object.entries(value)
    const parts = entries.filter(([name]) => name !== 'order')
    for (const [name, part] of parts)
      if (!(typeof part === 'object' && part !== null && 'order' in part))
        yield Object.fromEntries(entries.filter(([one]) => one !== name))
    for (const [name, part] of parts) for (const smaller of without(part)) yield { ...value, [name]: smaller }
  }
}
