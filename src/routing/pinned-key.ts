import type { Predicate } from './predicate'

/** The one canonical value that a predicate allows for a part of the shard key; undefined where it allows others. */
export function pinnedKey(predicate: Predicate, column: number): string | undefined {
  if (predicate.kind === 'and')
    return predicate.of.map((part) => pinnedKey(part, column)).find((key) => key !== undefined)
  if (predicate.kind !== 'key' || predicate.column !== column || predicate.constraint.kind !== 'values')
    return undefined
  const [key, another] = predicate.constraint.keys
  return another === undefined ? key : undefined
}
