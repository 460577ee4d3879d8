import { describe, expect, it } from 'vitest'
import { formatPreparedId, parsePreparedId } from '../../../src/transactions/prepared-transaction'

const id = { decider: '0123456789abcdef', transaction: 'f'.repeat(32), participant: 'fedcba9876543210' }

describe('the identifier of a prepared transaction', () => {
  it('is read as it was written, and fits', () => {
    const text = formatPreparedId(id)
    expect(text).toBe('typeorm_sharded:1:0123456789abcdef:ffffffffffffffffffffffffffffffff:fedcba9876543210')
    expect(Buffer.byteLength(text)).toBeLessThan(200)
    expect(parsePreparedId(text)).toEqual(id)
  })

  it.each([
    '',
    'other',
    'typeorm_sharded:2:0123456789abcdef:ffffffffffffffffffffffffffffffff:fedcba9876543210',
    'typeorm_sharded:1:0123456789abcdef:ffffffffffffffffffffffffffffffff',
    'typeorm_sharded:1:0123456789ABCDEF:ffffffffffffffffffffffffffffffff:fedcba9876543210',
    " typeorm_sharded:1:0123456789abcdef:ffffffffffffffffffffffffffffffff:fedcba9876543210'",
  ])('is not %j', (text) => {
    expect(parsePreparedId(text)).toBeUndefined()
  })
})
