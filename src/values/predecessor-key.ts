import type { CanonicalKey } from './canonical-key'
import { dayOfCivil } from './civil-day'
import type { KeyType } from './key-type'
import { parseTime } from './parse-time'
import { dateText, timestampText, timestamptzText } from './time-text'

const FIRST_DAY = dayOfCivil(1, 1, 2)

const earlier = (key: CanonicalKey, type: KeyType): CanonicalKey | undefined => {
  const time = parseTime(key)
  if (time.kind !== 'time' || time.day < FIRST_DAY) return undefined
  if (type === 'date') return dateText(time.day - 1)
  return type === 'timestamp' ? timestampText(time.day, time.micros - 1) : timestamptzText(time.day, time.micros - 1)
}

/**
 * The greatest key below a key of a type that has one (`9` of `10`, the last microsecond of a day);
 * else `undefined`.
 */
export const predecessorKey = (key: CanonicalKey, type: KeyType): CanonicalKey | undefined => {
  if (type === 'integer') return String(BigInt(key) - 1n)
  return type === 'date' || type === 'timestamp' || type === 'timestamptz' ? earlier(key, type) : undefined
}
