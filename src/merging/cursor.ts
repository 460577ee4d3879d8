import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { ShardedError } from '../errors/sharded-error'

/** The sort values of one row, in the order's terms, as the database writes them; null is NULL. */
export type Position = readonly (string | null)[]

/** What a cursor is good for: one order of one entity. Two scopes with one text are one scope. */
export interface CursorScope {
  readonly entity: string
  /** All that gives a position its meaning: table, terms with their types, directions and NULLS. */
  readonly text: string
}

/** Bytes of a cursor at the most, so that nobody pages by values that no URL could carry. */
export const maxCursorBytes = 16_384

const version = 1
const fingerprintBytes = 6
/** HMAC-SHA256 cut to half, the least that RFC 2104 recommends: 128 bits. */
const macBytes = 16
const headBytes = 1 + fingerprintBytes

/**
 * Writes positions as opaque, tamper-evident texts and reads them back. A cursor is base64url of
 * `version, fingerprint of the scope, values, HMAC-SHA256`; the HMAC covers the whole scope too, so that a cursor of another
 * order never passes. It is signed, not encrypted: who holds it can read the sort values.
 *
 * @example
 * const cursor = signer.sign(['2024-05-01T00:00:00', '42'], scope)
 * signer.open(cursor, scope) // ['2024-05-01T00:00:00', '42']
 */
export class CursorSigner {
  /** @param secrets the first signs, all are accepted */
  constructor(private readonly secrets: readonly [Uint8Array, ...Uint8Array[]]) {}

  /** @throws ShardedError PAGE_INVALID where the values are longer than a cursor may be */
  sign(position: Position, scope: CursorScope): string {
    const hash = hashOf(scope)
    const body = Buffer.concat([Buffer.of(version), hash.subarray(0, fingerprintBytes), ...position.flatMap(encode)])
    if (body.length + macBytes > maxCursorBytes) {
      throw new ShardedError(
        'PAGE_INVALID',
        `A row of ${scope.entity} sorts by values of ${body.length} bytes, and a cursor holds ${maxCursorBytes}.`,
        { details: { entity: scope.entity, bytes: body.length } },
      )
    }
    return Buffer.concat([body, mac(this.secrets[0], hash, body)]).toString('base64url')
  }

  /** @throws ShardedError CURSOR_INVALID */
  open(cursor: unknown, scope: CursorScope): Position {
    const invalid = (reason: string) =>
      new ShardedError('CURSOR_INVALID', `The cursor for ${scope.entity} ${reason}.`, {
        details: { entity: scope.entity },
      })
    if (typeof cursor !== 'string') throw invalid(`is ${cursor === null ? 'null' : typeof cursor}, not a text`)
    if (cursor.length > maxCursorBytes * 2) throw invalid('is too long')
    const bytes = Buffer.from(cursor, 'base64url')
    // Other texts give the same bytes (padding, blanks, spare bits): only the one that was written is taken.
    if (bytes.length < headBytes + macBytes || bytes.toString('base64url') !== cursor) throw invalid('is not a cursor')
    if (bytes[0] !== version) throw invalid(`has version ${bytes[0]}, not ${version}`)
    const hash = hashOf(scope)
    if (!bytes.subarray(1, headBytes).equals(hash.subarray(0, fingerprintBytes)))
      throw invalid('belongs to another order or another entity')
    const body = bytes.subarray(0, -macBytes)
    const given = bytes.subarray(-macBytes)
    if (!this.secrets.some((secret) => timingSafeEqual(mac(secret, hash, body), given)))
      throw invalid('was changed, or signed with another secret')
    return decode(body.subarray(headBytes))
  }
}

const hashOf = ({ entity, text }: CursorScope): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([entity, text]))
    .digest()

const mac = (secret: Uint8Array, hash: Buffer, body: Buffer): Buffer =>
  createHmac('sha256', secret).update('typeorm-sharded cursor').update(hash).update(body).digest().subarray(0, macBytes)

/** NULL is a length of 0; a text its length and one more, then its UTF-8. */
function encode(value: string | null): readonly Buffer[] {
  if (value === null) return [Buffer.of(0)]
  const bytes = Buffer.from(value, 'utf8')
  return [varint(bytes.length + 1), bytes]
}

function varint(number: number): Buffer {
  const bytes: number[] = []
  for (let left = number; ; left >>>= 7) {
    if (left < 0x80) return Buffer.of(...bytes, left)
    bytes.push((left & 0x7f) | 0x80)
  }
}

/** The bytes are authentic: this process, or one with its secret, has written them. */
function decode(bytes: Buffer): Position {
  const position: (string | null)[] = []
  for (let at = 0; at < bytes.length; ) {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.readUInt8(at++)
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    position.push(length === 0 ? null : bytes.toString('utf8', at, at + length - 1))
    at += Math.max(0, length - 1)
  }
  return Object.freeze(position)
}
