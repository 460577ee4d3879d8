import { describe, expect, it } from 'vitest'
import { isRead } from '../../../src/execution/is-read'

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
