import { describe, expect, it } from 'vitest'
import { collationReport } from '../../../src/query/collation-conflict'
import { collation, node } from '../planning/node-facts'

const names = ['"default"', '"sv-x-icu"']
const own = (more = {}) => ({ '"sv-x-icu"': collation(more) })

describe('what is said of the collations of nodes', () => {
  it('is nothing where all is well', () => {
    expect(collationReport([node('a', own()), node('b', own())], names)).toEqual([])
    expect(
      collationReport(
        ['en_US.UTF-8', 'en_US.utf8'].map((locale, index) => node(`n${index}`, own({ provider: 'libc', locale }))),
        names,
      ),
    ).toEqual([])
  })

  it.each([
    [{ actualVersion: '2', recordedVersion: '2' }, 'a has icu sv version 1, b has icu sv version 2'],
    [{ locale: 'sv-u-kn' }, 'a has icu sv version 1, b has icu sv-u-kn version 1'],
    [{ deterministic: false }, 'b has icu sv nondeterministic version 1'],
    [{ rules: '&a<b' }, 'b has icu sv rules "&a<b" version 1'],
  ])('names the nodes that differ: %j', (more, text) => {
    const lines = collationReport([node('a', own()), node('b', own(more))], names)
    expect(lines).toEqual([expect.stringContaining(text)])
    expect(lines[0]).toMatch(/^Collation "sv-x-icu" is not the same on all nodes: .*COLLATION_DIFFERS/)
  })

  it('names a node that has no such collation, and one with another encoding', () => {
    expect(collationReport([node('a', own()), node('b')], names)).toEqual([
      expect.stringContaining('b has none of that name'),
    ])
    expect(collationReport([node('a'), node('b', {}, { encoding: 'LATIN1' })], ['"default"'])).toEqual([
      expect.stringContaining('b has libc C LATIN1'),
    ])
  })

  it('warns of a version that the library has left behind, though all nodes agree', () => {
    const stale = { recordedVersion: '1', actualVersion: '2' }
    const lines = collationReport(
      [node('a', own(stale)), node('b', own({ recordedVersion: '2', actualVersion: '2' }))],
      names,
    )
    expect(lines).toEqual([
      'Node a: collation "sv-x-icu" was made with version 1, the server has 2. Indexes on such columns may be out of order: REINDEX them, then ALTER COLLATION … REFRESH VERSION (for "default": ALTER DATABASE).',
    ])
  })
})
