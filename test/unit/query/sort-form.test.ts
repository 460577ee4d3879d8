import { describe, expect, it } from 'vitest'
import { sortForm } from '../../../src/query/sort-form'
import { collation, node } from '../planning/node-facts'

const text = (name: string) => ({ name: 'text', kind: 'base', collation: name }) as const
const codeOf = (work: () => unknown): unknown => {
  try {
    work()
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
  return undefined
}

describe('how a type is ordered over nodes', () => {
  const sv = { '"sv-x-icu"': collation() }

  it('is by code points only where every node sorts so', () => {
    const german = node('b', { '"default"': collation({ locale: 'de' }) })
    expect(sortForm(text('"default"'), [node('a'), node('b')]).kind).toBe('codepoints')
    expect(sortForm(text('"default"'), [german]).kind).toBe('ranked')
    expect(sortForm(text('"default"'), [node('a', {}, { encoding: 'LATIN1' })]).kind).toBe('ranked')
    expect(sortForm(text('"default"'), []).kind).toBe('ranked')
    const builtin = collation({ provider: 'builtin', locale: 'C.UTF-8' })
    expect(sortForm(text('"default"'), [node('a', { '"default"': builtin })]).kind).toBe('codepoints')
    const glibc = collation({ provider: 'libc', locale: 'C.UTF-8' })
    expect(sortForm(text('"default"'), [node('a', { '"default"': glibc })]).kind).toBe('ranked')
  })

  it('is refused where the nodes differ, or one has no such collation', () => {
    const other = node('b', { '"sv-x-icu"': collation({ actualVersion: '2' }) })
    const subject = { name: 'User.name', details: { entity: 'User', column: 'name' } }
    expect(codeOf(() => sortForm(text('"sv-x-icu"'), [node('a', sv), node('b', sv)]))).toBeUndefined()
    expect(() => sortForm(text('"sv-x-icu"'), [node('a', sv), other], subject)).toThrow(
      expect.objectContaining({
        code: 'COLLATION_DIFFERS',
        message: expect.stringContaining('User.name sorts by the collation "sv-x-icu"'),
        details: {
          ...subject.details,
          collation: '"sv-x-icu"',
          nodes: { a: 'icu sv version 1', b: 'icu sv version 2' },
        },
      }),
    )
    expect(codeOf(() => sortForm(text('"sv-x-icu"'), [node('a', sv), node('b')]))).toBe('COLLATION_DIFFERS')
    expect(codeOf(() => sortForm(text('"sv-x-icu"'), [other]))).toBeUndefined()
  })

  it('minds the default collation of types that sort by it', () => {
    const facts = [node('a'), node('b', { '"default"': collation() })]
    const of = (name: string, own?: string) => () => sortForm({ name, kind: 'base', collation: own }, facts)
    for (const name of ['jsonb', 'somebody.type', 'jsonb[]']) expect(codeOf(of(name))).toBe('COLLATION_DIFFERS')
    expect(codeOf(of('citext', '"C"'))).toBe('COLLATION_DIFFERS')
    for (const name of ['integer', 'integer[]', 'tsvector', 'int4range']) expect(codeOf(of(name))).toBeUndefined()
  })

  it('is refused where values are written differently, or cannot be read back', () => {
    const facts = [node('a'), node('b', {}, { textForm: 'SQL, DMY' })]
    expect(codeOf(() => sortForm({ name: 'date[]', kind: 'base', collation: undefined }, facts))).toBe(
      'ORDER_UNSUPPORTED',
    )
    expect(codeOf(() => sortForm({ name: 'date', kind: 'base', collation: undefined }, facts))).toBeUndefined()
    expect(codeOf(() => sortForm({ name: 'record', kind: 'composite', collation: undefined }, []))).toBe(
      'ORDER_UNSUPPORTED',
    )
  })

  it('of a domain is that of the type under it', () => {
    const base = { name: 'interval', kind: 'base', collation: undefined } as const
    const domain = { name: 'user_03.span', kind: 'domain', collation: undefined, base } as const
    expect(sortForm(domain, [])).toEqual(sortForm(base, []))
    expect(sortForm({ ...domain, base: text('"default"'), collation: '"C"' }, []).rankBy).toBe('v COLLATE "C"')
  })
})
