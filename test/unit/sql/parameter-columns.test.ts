import { beforeAll, describe, expect, it } from 'vitest'
import { parameterColumns } from '../../../src/sql/parameter-columns'
import { parseStatement } from '../../../src/sql/parse-statement'
import { loadParser } from '../../../src/sql/parser'

/** `table.column` of each, or undefined. */
function columnsOf(text: string): readonly string[] | undefined {
  const parsed = parseStatement(text)
  if (!parsed) throw new Error(`No SQL: ${text}`)
  return parameterColumns(parsed)?.map(({ table, name }) => `${table.relname}.${name}`)
}

describe('parameterColumns', () => {
  beforeAll(loadParser)

  it.each([
    // The result has the column, and so its type.
    ['SELECT x.id AS x_id, x.at AS x_at FROM s.note x WHERE ((x.id = $1)) LIMIT 1', []],
    ['SELECT * FROM note WHERE id = $1 AND at > $2', []],
    ['SELECT x.* FROM note x JOIN tag t ON t.note = x.id WHERE x.id = $1 AND t.name = $2', ['tag.name']],
    ['DELETE FROM note WHERE id = $1 RETURNING id', []],
    ['UPDATE note SET at = $1 WHERE id = $2 RETURNING at', ['note.id']],
    // The parameter says its type itself, or there is none.
    ['SELECT count(*) FROM note WHERE at > $1::date', []],
    [`SELECT count(*) FROM note WHERE at > '2020-01-01'`, []],
    ['INSERT INTO note (id, at) SELECT * FROM unnest($1::int[], $2::date[])', []],
    // Writes.
    ['UPDATE note SET at = $1, n = n + 1 WHERE id IN ($2, $3)', ['note.at', 'note.id']],
    ['UPDATE s.note AS x SET at = $1 FROM tag t WHERE t.note = x.id AND t.name = $2', ['note.at', 'tag.name']],
    ['INSERT INTO note (id, at) VALUES ($1, $2), ($3, DEFAULT)', ['note.id', 'note.at']],
    ['INSERT INTO note (id, at) SELECT x.id, $1 FROM tag x WHERE x.n = $2', ['tag.n', 'note.id', 'note.at']],
    [
      'INSERT INTO note (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET at = $1 WHERE excluded.n > $2',
      ['note.at', 'note.n'],
    ],
    [
      'INSERT INTO s.note (id) SELECT c FROM unnest(coalesce($1, ARRAY[(CAST(NULL AS s.note)).id])) AS given (c)',
      ['note.id'],
    ],
    // Only what a parameter meets: each part of an AND is a boolean.
    ['SELECT count(*) FROM note WHERE at > $1 AND n = 5 OR NOT done = $2', ['note.at', 'note.done']],
    ['SELECT count(*) FROM note x WHERE x.at > coalesce($1, x.since)', ['note.at', 'note.since']],
    ['SELECT CASE WHEN n > $1 THEN $2 ELSE t END FROM note', ['note.n', 'note.t']],
    ['SELECT sum(n) FROM note GROUP BY t HAVING sum(n) > $1', ['note.n']],
    // Each arm is a table of its own.
    [
      '(SELECT x.id FROM a.note x WHERE x.at > $1) UNION ALL (SELECT x.id FROM b.note x WHERE x.at > $1) ORDER BY 1',
      ['note.at', 'note.at'],
    ],
    ['SELECT x.id FROM note x WHERE EXISTS (SELECT 1 FROM tag t WHERE t.note = x.id AND t.name = $1)', ['tag.name']],
    ['SELECT x.id FROM note x WHERE $1 IN (SELECT t.name FROM tag t WHERE t.n = $2)', ['tag.n', 'tag.name']],
    ['WITH c AS (SELECT x.id FROM note x WHERE x.at > $1) SELECT id FROM c', ['note.at']],
    ['SELECT d.id FROM (SELECT x.id FROM note x WHERE x.at > $1) d', ['note.at']],
    ['SELECT n FROM note LIMIT $1', []],
  ])('%s', (text, expected) => {
    expect(columnsOf(text)).toEqual(expected)
  })

  it.each([
    // A name that may be of either table.
    'SELECT 1 FROM note, tag WHERE at > $1',
    'SELECT 1 FROM note JOIN tag USING (id) WHERE id > $1',
    'SELECT 1 FROM note x WHERE EXISTS (SELECT 1 FROM tag WHERE name = $1)',
    // A column of a query.
    'SELECT 1 FROM (SELECT * FROM note) d WHERE d.at > $1',
    'WITH note AS (SELECT * FROM tag) SELECT 1 FROM note x WHERE x.at > $1',
    'SELECT 1 FROM note AS x (a, b) WHERE x.a > $1',
    // A function that may be replaced, a part of a value, a whole row, all columns.
    'SELECT 1 FROM note x WHERE similarity(x.t, $1) > 0.5',
    'SELECT 1 FROM note x WHERE (x.place).at > $1',
    'UPDATE note SET tags[1] = $1',
    'INSERT INTO note VALUES ($1, $2)',
    'INSERT INTO note (id) SELECT c FROM unnest(coalesce($1, ARRAY[(CAST(NULL AS place)).id])) AS given (c)',
    // The other side of a union gives the parameter its type.
    'SELECT at FROM note UNION SELECT $1',
    'MERGE INTO note x USING tag t ON t.note = x.id WHEN MATCHED THEN UPDATE SET at = $1',
    'SELECT 1 FROM note WHERE id = $1; SELECT 2',
  ])('are not known of %s', (text) => {
    expect(columnsOf(text)).toBeUndefined()
  })
})
