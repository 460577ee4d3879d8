import { describe, expect, it } from 'vitest'
import { changesText, type Note, notedChanges } from '../../../src/references/noted-changes'

const row = (id: number, text = 'a') => JSON.stringify({ id: String(id), text })
const note = (op: string, old: string | null, after: string | null, more: Partial<Note> = {}): Note => ({
  name: 'label',
  op,
  depth: 1,
  old,
  new: after,
  ...more,
})
const pathOf = (name: string) => `"public"."${name}"`
const label = { depth: 1, path: '"public"."label"' }

describe('noted changes', () => {
  it('that are alike and follow each other are one statement', () => {
    const notes = [
      note('INSERT', null, row(1)),
      note('INSERT', null, row(2)),
      note('INSERT', null, row(3), { name: 'other' }),
      note('DELETE', row(1), null),
      note('INSERT', null, row(1)),
      note('DELETE', row(2), null, { depth: 2 }),
      note('DELETE', row(1), null),
    ]
    expect(notedChanges(notes, pathOf)).toEqual([
      { op: 'INSERT', ...label, new: [row(1), row(2)] },
      { op: 'INSERT', depth: 1, path: '"public"."other"', new: [row(3)] },
      { op: 'DELETE', ...label, old: [row(1)] },
      { op: 'INSERT', ...label, new: [row(1)] },
      { op: 'DELETE', ...label, depth: 2, old: [row(2)] },
      { op: 'DELETE', ...label, old: [row(1)] },
    ])
  })

  it('of a row that is changed again are two statements', () => {
    const notes = [
      note('UPDATE', row(1), row(1, 'b')),
      note('UPDATE', row(2), row(2, 'b')),
      note('UPDATE', row(1, 'b'), row(1, 'c')),
    ]
    expect(notedChanges(notes, pathOf)).toEqual([
      { op: 'UPDATE', ...label, old: [row(1), row(2)], new: [row(1, 'b'), row(2, 'b')] },
      { op: 'UPDATE', ...label, old: [row(1, 'b')], new: [row(1, 'c')] },
    ])
  })

  it('of tables that are emptied together are one statement', () => {
    const notes = ['label', 'other', 'label'].map((name) => note('TRUNCATE', null, null, { name }))
    expect(notedChanges(notes, pathOf)).toEqual([
      { op: 'TRUNCATE', depth: 1, path: '"public"."label", "public"."other"' },
    ])
  })

  it('are one text of JSON', () => {
    const changes = notedChanges([note('UPDATE', row(1, '"'), row(1, '€')), note('TRUNCATE', null, null)], pathOf)
    expect(JSON.parse(changesText(changes))).toEqual([
      { op: 'UPDATE', ...label, old: [{ id: '1', text: '"' }], new: [{ id: '1', text: '€' }] },
      { op: 'TRUNCATE', ...label },
    ])
  })
})
