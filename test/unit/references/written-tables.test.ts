import { beforeAll, describe, expect, it } from 'vitest'
import { writtenTables } from '../../../src/references/written-tables'
import { parseStatement } from '../../../src/sql/parse-statement'
import { loadParser } from '../../../src/sql/parser'

describe('what a text does to reference tables', () => {
  beforeAll(() => loadParser())
  const names = new Set(['country', 'label'])
  const ask = (text: string) =>
    writtenTables(parseStatement(text)?.statements ?? [], (schema = 'public', table) =>
      schema === 'public' && names.has(table) ? table : undefined,
    )

  it.each([
    ['INSERT INTO country VALUES (1)', ['country']],
    ['UPDATE "public"."label" SET id = 1 FROM country', ['label']],
    ['DELETE FROM label USING country', ['label']],
    ['TRUNCATE label, country', ['country', 'label']],
    ['WITH a AS (DELETE FROM label RETURNING 1) INSERT INTO setting SELECT * FROM a', ['label']],
    ['MERGE INTO label l USING country c ON true WHEN MATCHED THEN DELETE', ['label']],
    ['EXPLAIN ANALYZE DELETE FROM label', ['label']],
    ['SELECT 1; DELETE FROM label', ['label']],
  ])('%s writes', (text, written) => {
    expect(ask(text)).toEqual({ kind: 'write', names: written })
  })

  it.each([
    'SELECT * FROM country FOR UPDATE',
    'INSERT INTO setting SELECT id FROM country',
    'UPDATE other.country SET id = 1',
    'COPY country TO STDOUT',
    'LOCK TABLE country',
    'CREATE VIEW v AS SELECT * FROM country',
    'DROP TABLE other.country',
    'this is no SQL',
  ])('%s changes none', (text) => {
    expect(ask(text)).toBeUndefined()
  })

  it.each([
    'TRUNCATE country CASCADE',
    'COPY country FROM STDIN',
    'ALTER TABLE country ADD a int',
    'ALTER TABLE country RENAME TO land',
    'DROP TABLE setting, country',
    'DROP TABLE public.country',
    'CREATE INDEX ON country (id)',
    'CREATE TRIGGER t AFTER INSERT ON country EXECUTE FUNCTION f()',
    'CREATE RULE r AS ON DELETE TO country DO INSTEAD NOTHING',
  ])('%s is refused', (text) => {
    expect(ask(text)).toMatchObject({ kind: 'refused' })
  })
})
