import { Pool } from 'pg'
import type { Line } from '../support/item'
import type { Peer } from './peer'

const poolSize = 16

/** `pg` with statements written and prepared by hand, on the one database of plain TypeORM: as little as a client can do. */
export const pgAlone = (connectionString: string): Peer => {
  const pool = new Pool({ connectionString, max: poolSize })
  const run = (text: string, values: unknown[] = []) => pool.query({ name: text.slice(0, 60), text, values })
  const rows = async (text: string, values: unknown[] = []) => (await run(text, values)).rows
  const affected = async (text: string, values: unknown[]) => (await run(text, values)).rowCount ?? 0
  return {
    name: 'pg alone',
    works: {
      byKey: (id) => rows('SELECT * FROM item WHERE id = $1', [id]),
      top: (count) => rows('SELECT * FROM item ORDER BY "createdAt" DESC LIMIT $1', [count]),
      after: (time, count) =>
        rows('SELECT * FROM item WHERE "createdAt" < $1 ORDER BY "createdAt" DESC LIMIT $2', [time, count]),
      page: (offset, count) => rows('SELECT * FROM item ORDER BY "createdAt" DESC OFFSET $1 LIMIT $2', [offset, count]),
      raw: (count) => rows('SELECT * FROM item ORDER BY "createdAt" DESC LIMIT $1', [count]),
      count: async () => Number((await rows('SELECT count(*) AS n FROM item'))[0]?.n),
      sum: async () => Number((await rows('SELECT sum(amount) AS n FROM item'))[0]?.n),
      updateByKey: (id, amount) => affected('UPDATE item SET amount = $2 WHERE id = $1', [id, amount]),
      updateBetween: (from, to, amount) =>
        affected('UPDATE item SET amount = $3 WHERE "createdAt" BETWEEN $1 AND $2', [from, to, amount]),
      saveLines: async (lines) => {
        await run(insertLines('line'), columnsOf(lines))
      },
      transfer: async (from, to) => {
        const client = await pool.connect()
        try {
          await client.query('BEGIN')
          await client.query(addTo('item', -1), [from])
          await client.query(addTo('item', 1), [to])
          await client.query('COMMIT')
        } finally {
          client.release()
        }
      },
    },
    close: () => pool.end(),
  }
}

/** One statement for any number of lines: its parameters are those of `columnsOf`. */
export const insertLines = (table: string): string =>
  `INSERT INTO ${table} (id, "itemId", text, amount) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[])`

export const columnsOf = (lines: readonly Line[]): unknown[] =>
  (['id', 'itemId', 'text', 'amount'] as const).map((name) => lines.map((line) => line[name]))

export const addTo = (table: string, amount: 1 | -1): string =>
  `UPDATE ${table} SET amount = amount + ${amount} WHERE id = $1`
