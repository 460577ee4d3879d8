import { beforeAll, describe, it } from 'vitest'
import { expectAlike, onEveryDatabase, openSides } from './sides'

describe('an aggregate of the name of one of PostgreSQL', () => {
  const sides = openSides()

  beforeAll(() =>
    onEveryDatabase(
      sides,
      `CREATE SCHEMA IF NOT EXISTS app;
       CREATE OR REPLACE FUNCTION app.higher(bigint, int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
       CREATE OR REPLACE AGGREGATE app.sum(int) (sfunc = app.higher, stype = bigint, initcond = '0')`,
    ),
  )

  it.each([
    'SELECT app.sum(qty) AS n FROM ord',
    'SELECT status, app.sum(qty) AS n, sum(qty) AS s, pg_catalog.sum(id) AS t FROM ord GROUP BY status ORDER BY status',
  ])('is not finished from halves: %s', (text) => expectAlike(sides, text))
})
