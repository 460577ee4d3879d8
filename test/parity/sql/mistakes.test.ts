import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('what one database refuses', () => {
  const sides = openSides()

  it.each([
    ['an ordinal beyond the outputs', 'SELECT id, qty FROM ord ORDER BY 3', []],
    ['an ordinal beyond the columns of *', 'SELECT * FROM acct ORDER BY 4', []],
    ['an ordinal of groups beyond the outputs', 'SELECT qty, count(*) FROM ord GROUP BY 3', []],
    ['a name that two outputs have', 'SELECT id AS x, k AS x FROM ord ORDER BY x', []],
    ['an order by what DISTINCT left out', 'SELECT DISTINCT id FROM ord ORDER BY qty', []],
    ['an order by a text', `SELECT id FROM ord ORDER BY 'x'`, []],
    ['a parameter that nothing names', 'SELECT id FROM ord WHERE id < $2 ORDER BY id', [1, 5]],
    ['a parameter of an update that nothing names', 'UPDATE ord SET qty = qty WHERE id = $2', [1, 2]],
    ['too few values', 'INSERT INTO ord(id,k,qty) VALUES (1001,1)', []],
    ['too many values', 'INSERT INTO ord(id,k,qty) VALUES (1001,1,2,3)', []],
    ['rows of unlike lengths', 'INSERT INTO item(n,k) VALUES (1001,1),(1002)', []],
    ['a function that there is not', 'SELECT nosuch(id) FROM ord', []],
  ] as const)('shards refuse alike: %s', (_, text, parameters) => expectAlike(sides, text, parameters))

  it.each([
    'SELECT id AS x, id AS x FROM ord ORDER BY x LIMIT 3',
    'SELECT * FROM acct ORDER BY 3, 1',
    'SELECT DISTINCT id, qty FROM ord ORDER BY ord.qty, id',
  ])('and not what only looks like it: %s', (text) => expectAlike(sides, text))
})
