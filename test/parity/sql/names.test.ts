import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('names of outputs over shards', () => {
  const sides = openSides()

  it.each([
    'SELECT count(*), (SELECT max(id) FROM ord) FROM ord',
    'SELECT max FROM (SELECT (SELECT max(id) FROM ord), a.k FROM acct a) x ORDER BY k LIMIT 2',
    'SELECT ARRAY(SELECT id FROM ord ORDER BY id LIMIT 2), EXISTS (SELECT 1 FROM ord) FROM acct ORDER BY k LIMIT 1',
    `SELECT json_object('a': id), json_array(id), json_scalar(id), json_serialize(doc) FROM ord ORDER BY id LIMIT 2`,
    `SELECT json('{}'), doc IS JSON FROM ord ORDER BY id LIMIT 1`,
    'SELECT xmlforest(id), xmlelement(name x, id), xmlconcat(xmlelement(name y)) FROM ord ORDER BY id LIMIT 2',
    `SELECT xmlroot(xml '<a/>', version '1.0'), xmlpi(name php), xmlserialize(content xml '<a/>' AS text) FROM ord ORDER BY id LIMIT 1`,
    'SELECT qty::text, CASE WHEN qty > 1 THEN 1 END, COALESCE(qty, 1), NULLIF(qty, 1), qty + 1 FROM ord ORDER BY id LIMIT 1',
    'SELECT count(*) FILTER (WHERE qty > 1), sum(qty)::int, avg(qty) FROM ord',
  ])('are those of the statement as it is written: %s', (text) => expectAlike(sides, text))
})
