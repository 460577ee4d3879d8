import { keyInvalid } from './key-invalid'

/** White space may stand between the pairs of digits. */
const HEX = /^\\x(?:[0-9a-fA-F]{2}|[ \n\t\r])*$/

/**
 * `\x` and lower-case hex digits. Of texts, only the hex format is read: the older escape format
 * looks like any text.
 */
export const canonicalBytes = (value: unknown): string => {
  if (value instanceof Uint8Array) {
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  }
  if (typeof value !== 'string' || !HEX.test(value)) throw keyInvalid(value, 'bytes')
  return value.replace(/[ \n\t\r]/g, '').toLowerCase()
}
