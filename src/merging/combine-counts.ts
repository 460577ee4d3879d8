/**
 * Adds the COUNTs of the shards, which `pg` gives as decimal text.
 *
 * @throws TypeError where a value is no count: a bug of the caller
 * @example combineCounts(['2', '40']) // 42n
 */
export const combineCounts = (values: readonly string[]): bigint =>
  values.reduce((total, value) => {
    if (!/^\d+$/.test(value)) throw new TypeError(`${JSON.stringify(value)} is not a count.`)
    return total + BigInt(value)
  }, 0n)
