import type { DataSource } from 'typeorm'
import type { ShopScript } from './script'

export type Outcome = { readonly value: unknown } | { readonly error: unknown }

const recent = 3_600_000
const ownId = /^[1-6]0000000-0000-4000-8000-/
const anyId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * A value without what differs from run to run: ids that were generated, and the time of now. Of an object that is part of itself it says where
 * it is.
 */
export function withoutChance(value: unknown, above: readonly object[] = []): unknown {
  if (value instanceof Date) return Math.abs(Date.now() - value.getTime()) < recent ? 'now' : value
  if (typeof value === 'string') return anyId.test(value) && !ownId.test(value) ? 'generated' : value
  if (typeof value !== 'object' || value === null) return value
  if (above.includes(value)) return `the object ${above.indexOf(value)} above`
  if (Array.isArray(value)) return value.map((part) => withoutChance(part, above))
  const copy = Object.create(Object.getPrototypeOf(value))
  for (const [key, part] of Object.entries(value)) copy[key] = withoutChance(part, [value, ...above])
  return copy
}

/** What a script gives, or how it fails: by the code of the database or of the sharding, else by its message. */
export async function outcomeOf(script: ShopScript, dataSource: DataSource): Promise<Outcome> {
  try {
    return { value: withoutChance(await script(dataSource)) }
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string } // What is thrown here is an error.
    return { error: code ?? message }
  }
}
