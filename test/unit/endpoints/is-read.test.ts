import { describe, expect, it } from 'vitest'
import { isRead, mayWriteRows } from '../../../src/endpoints/is-read'

describe('isRead', () => {
  it.each([
    'SELECT 1',
    '  ((select 1) UNION ALL (SELECT 2))',
    '/* DELETE */ SELECT 1',
    '-- update\n SELECT 1',
    'VALUES (1)',
    'TABLE item',
    'FETCH FORWARD 5 FROM c',
    'WITH a AS (SELECT 1) SELECT * FROM a',
  ])('takes %j for a read', (text) => expect(isRead(text)).toBe(true))

  it.each([
    'INSERT INTO a VALUES (1) RETURNING 1',
    'UPDATE a SET b = 1',
    '/* SELECT */ DELETE FROM a',
    'WITH a AS (INSERT INTO b VALUES (1) RETURNING *) SELECT * FROM a',
    'selection',
    'CALL p()',
    'BEGIN',
  ])('takes %j for a write', (text) => expect(isRead(text)).toBe(false))
})

describe('mayWriteRows', () => {
  it.each([
    'INSERT INTO a VALUES (1)',
    '-- all\n UPDATE a SET b = 1',
    '/* all */ delete FROM a',
    'MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE',
    'WITH a AS (INSERT INTO b VALUES (1) RETURNING *) SELECT * FROM a',
  ])('takes %j for one that does', (text) => expect(mayWriteRows(text)).toBe(true))

  it.each([
    'SELECT 1',
    'WITH a AS (SELECT 1) SELECT * FROM a',
    'VACUUM a',
    'DISCARD ALL',
    'CREATE INDEX CONCURRENTLY ON a (b)',
  ])('takes %j for one that does not', (text) => expect(mayWriteRows(text)).toBe(false))
})
