import type { EntityMetadata } from 'typeorm'
import { cloneWhere } from './clone-where'
import { isLiteral } from './find-predicate'

/**
 * A copy of a condition as it is at the call: its owner may change it before it is read here, as it may with plain TypeORM, which
 * makes the SQL at the call. The driver reads objects that are parameters (a `Date`, the list of `Any`) later, when it sends
 * them. Their owner has gone on by then: the copy is made a turn later, and both the route and the statement are made of it.
 */
export function conditionAtCall<Where>(metadata: EntityMetadata, condition: Where): Where | Promise<Where> {
  if (typeof condition !== 'object' || condition === null) return condition
  let isSentLater = false
  const copy = cloneWhere(metadata, condition, (value, readTime) => {
    if (readTime === 'call') return copyValue(value)
    isSentLater ||= typeof value === 'object' && value !== null
    return value
  })
  return isSentLater ? Promise.resolve().then(() => cloneWhere(metadata, copy, copyValue)) : copy
}

/** Only its class knows how to copy an object of another class: it stays the caller's. */
function copyValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyValue)
  if (value instanceof Date) return new Date(value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (!isLiteral(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, copyValue(inner)]))
}
