/**
 * Cuts a list into parts of so many elements; the last part may have fewer.
 *
 * @example
 * [...chunksOf(['a', 'b', 'c'], 2)] // [['a', 'b'], ['c']]
 */
export function* chunksOf<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < list.length; start += size) yield list.slice(start, start + size)
}
