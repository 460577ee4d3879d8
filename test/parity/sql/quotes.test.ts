import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('tables behind quotes of all kinds', () => {
  const sides = openSides()

  it.each([
    String.raw`SELECT E'it\'s' AS a, id FROM ord WHERE k = 5 AND status <> 'x' ORDER BY id`,
    String.raw`SELECT E'it\'s' AS a, id FROM ord WHERE status <> 'x' ORDER BY id`,
    `SELECT $$it's$$ AS a, id FROM ord WHERE k = 5 AND status <> 'x' ORDER BY id`,
    `SELECT $q$it's $$ "__shard__"."ord"$q$ AS a, id FROM ord WHERE k = 5 AND status <> 'x' ORDER BY id`,
    `SELECT id -- it's\nFROM ord WHERE k = 5 AND status <> 'x' ORDER BY id`,
    `SELECT id /* it's /* so */ it's */ FROM ord WHERE k = 5 AND status <> 'x' ORDER BY id`,
    `SELECT id AS "it's" FROM ord WHERE k = 5 AND status <> 'x' ORDER BY id`,
    `SELECT '-- ' AS a, id FROM ord WHERE k = 5 ORDER BY id`,
    `SELECT id AS "/*" FROM ord WHERE k = 5 ORDER BY id /* */`,
    `SELECT id, $1::int AS p$1$x, 2 AS q$1$x FROM ord WHERE k = 5 ORDER BY id`,
  ])('are found: %s', (text) => expectAlike(sides, text, text.includes('$1::int') ? [1] : []))
})
