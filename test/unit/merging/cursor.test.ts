import { describe, expect, it } from 'vitest'
import { CursorSigner, maxCursorBytes } from '../../../src/merging/cursor'

const secret = (text: string): Uint8Array => Buffer.from(text)
const signer = new CursorSigner([secret('first secret')])
const scope = { entity: 'Order', text: '["createdAt","DESC"]' }
const invalid = expect.objectContaining({ code: 'CURSOR_INVALID', details: { entity: 'Order' } })

describe('CursorSigner', () => {
  it.each([
    [[]],
    [['42']],
    [[null]],
    [['', null, 'é日本\u{1f600}', "it's", '\u0000']],
    [['x'.repeat(126), 'x'.repeat(127), 'x'.repeat(128), null, 'é'.repeat(5000)]],
  ])('gives back what it signed: %j', (position) => {
    expect(signer.open(signer.sign(position, scope), scope)).toEqual(position)
  })

  it('writes the same text each time, fit for a URL', () => {
    const cursor = signer.sign(['2024-05-01T00:00:00', '42'], scope)
    expect(cursor).toBe(signer.sign(['2024-05-01T00:00:00', '42'], scope))
    expect(cursor).toMatch(/^[\w-]+$/)
    expect(Buffer.from(cursor, 'base64url')).toHaveLength(1 + 6 + (1 + 19) + (1 + 2) + 16)
  })

  it('refuses a cursor in which any character differs, and any part of one', () => {
    const cursor = signer.sign(['2024-05-01T00:00:00', null, '42'], scope)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ %'
    for (let at = 0; at < cursor.length; at += 1) {
      for (const character of alphabet) {
        if (character === cursor[at]) continue
        const changed = cursor.slice(0, at) + character + cursor.slice(at + 1)
        expect(() => signer.open(changed, scope), changed).toThrow(invalid)
      }
      expect(() => signer.open(cursor.slice(0, at), scope)).toThrow(invalid)
      expect(() => signer.open(cursor.slice(at + 1), scope)).toThrow(invalid)
      expect(() => signer.open(`${cursor.slice(0, at)}\n${cursor.slice(at)}`, scope)).toThrow(invalid)
    }
    for (const padded of [`${cursor}=`, `${cursor}A`, ` ${cursor}`, cursor + cursor])
      expect(() => signer.open(padded, scope)).toThrow(invalid)
  })

  it.each([undefined, null, 42, {}, ['x'], '', 'x', 'A'.repeat(3 * maxCursorBytes)])('refuses %j', (cursor) => {
    expect(() => signer.open(cursor, scope)).toThrow(invalid)
  })

  it('says why', () => {
    const cursor = signer.sign(['42'], scope)
    const bytes = Buffer.from(cursor, 'base64url')
    bytes[0] = 2
    expect(() => signer.open(bytes.toString('base64url'), scope)).toThrow('has version 2, not 1')
    expect(() => signer.open(cursor, { ...scope, text: 'other' })).toThrow('another order or another entity')
    expect(() => new CursorSigner([secret('other')]).open(cursor, scope)).toThrow('signed with another secret')
  })

  it('belongs to one entity and one order', () => {
    const cursor = signer.sign(['42'], scope)
    expect(() => signer.open(cursor, { ...scope, text: '["createdAt","ASC"]' })).toThrow(invalid)
    expect(() => signer.open(cursor, { ...scope, entity: 'User' })).toThrow(
      expect.objectContaining({ code: 'CURSOR_INVALID', details: { entity: 'User' } }),
    )
  })

  it('signs with the first secret and accepts all', () => {
    const old = new CursorSigner([secret('old')])
    const both = new CursorSigner([secret('new'), secret('old')])
    const fresh = new CursorSigner([secret('new')])
    expect(both.open(old.sign(['1'], scope), scope)).toEqual(['1'])
    expect(fresh.open(both.sign(['1'], scope), scope)).toEqual(['1'])
    expect(() => fresh.open(old.sign(['1'], scope), scope)).toThrow(invalid)
  })

  it('refuses values that no cursor should carry', () => {
    expect(() => signer.sign(['x'.repeat(maxCursorBytes)], scope)).toThrow(
      expect.objectContaining({ code: 'PAGE_INVALID', details: { entity: 'Order', bytes: maxCursorBytes + 10 } }),
    )
  })
})
