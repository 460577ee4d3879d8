import type { KeyConstraint } from '../functions/sharding-function'

/**
 * Both constraints on one column. Of two ranges, and of a range and values, only one is kept: each alone is a sound
 * (too wide) reading, and comparing texts of keys is the sharding function's business. Routes of both are intersected
 * by the caller where both matter.
 */
export function bothConstraints(a: KeyConstraint, b: KeyConstraint): KeyConstraint {
  if (a.kind === 'values' && b.kind === 'values') {
    const other = new Set(b.keys)
    return { kind: 'values', keys: a.keys.filter((key) => other.has(key)) }
  }
  if (a.kind === 'values') return a
  if (b.kind === 'values') return b
  const from = a.from ?? b.from
  const to = a.to ?? b.to
  return { kind: 'range', ...(from && { from }), ...(to && { to }) }
}
