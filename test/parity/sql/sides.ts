import { Client } from 'pg'
import type { DataSource, QueryRunner } from 'typeorm'
import { QueryFailedError } from 'typeorm'
import { afterAll, beforeAll, expect } from 'vitest'
import { ShardedError } from '../../../src/index'
import { type OpenTargets, openTargets, type Target } from '../../support/targets'
import { ledger } from './world'

/** What a statement gave: its rows, with the columns in their order, or how it was refused. */
export type Answer =
  | { readonly columns: readonly string[]; readonly rows: readonly string[] }
  | { readonly error: string }

/** Plain TypeORM and every sharding of the ledger, open for the tests of a file. */
export function openSides(): {
  readonly plain: () => DataSource
  readonly sharded: () => readonly Target[]
} {
  let open: OpenTargets | undefined
  beforeAll(async () => {
    open = await openTargets(ledger)
  }, 120_000)
  afterAll(() => open?.close())
  const opened = (): OpenTargets => {
    if (!open) throw new Error('The sides are opened in beforeAll.')
    return open
  }
  return { plain: () => opened().plain, sharded: () => opened().sharded }
}

export async function answer(
  to: Pick<DataSource | QueryRunner, 'query'>,
  text: string,
  parameters: readonly unknown[] = [],
): Promise<Answer> {
  try {
    const result = await to.query(text, [...parameters])
    const rows: readonly object[] = Array.isArray(result[0]) ? result[0] : result
    return { columns: Object.keys(rows[0] ?? {}), rows: rows.map((row) => JSON.stringify(row)) }
  } catch (error) {
    if (error instanceof ShardedError) return { error: error.code }
    // A driver's error: its SQLSTATE. What is none is a mistake of ours.
    if (error instanceof QueryFailedError) return { error: (error.driverError as { code?: string }).code ?? 'none' }
    throw error
  }
}

/** Without an order, rows are a set. */
const sorted = (given: Answer, text: string): Answer =>
  'rows' in given && !/order by/i.test(text) ? { ...given, rows: given.rows.toSorted() } : given

type Sides = ReturnType<typeof openSides>

/** The same answer on one database and on every sharding of it: rows, order, columns, and SQLSTATE where it is a mistake. */
export async function expectAlike(
  { plain, sharded }: Sides,
  text: string,
  parameters?: readonly unknown[],
): Promise<void> {
  const expected = sorted(await answer(plain(), text, parameters), text)
  for (const { name, dataSource } of sharded())
    expect({ name, ...sorted(await answer(dataSource, text, parameters), text) }).toEqual({ name, ...expected })
}

/** Refused with a code where it would run on several shards; on one shard the answer of one database. */
export async function expectRefused(
  { plain, sharded }: Sides,
  text: string,
  code = 'STATEMENT_UNSUPPORTED',
): Promise<void> {
  const expected = sorted(await answer(plain(), text), text)
  for (const { name, shards, dataSource } of sharded()) {
    const given = sorted(await answer(dataSource, text), text)
    expect({ name, ...given }).toEqual({ name, ...(shards > 1 ? { error: code } : expected) })
  }
}

/** Runs a script on every database of all sides: functions that a user would make on each node. */
export async function onEveryDatabase({ plain, sharded }: Sides, script: string): Promise<void> {
  const urls = new Set<string>()
  for (const { options } of [plain(), ...sharded().map(({ dataSource }) => dataSource)]) {
    const { nodes, url } = options as { nodes?: Record<string, { url: string }>; url?: string }
    for (const one of nodes ? Object.values(nodes).map((node) => node.url) : [url ?? '']) urls.add(one)
  }
  for (const connectionString of urls) {
    const client = new Client({ connectionString })
    await client.connect()
    await client.query(script)
    await client.end()
  }
}

/** Runs work in a transaction that is rolled back: the rows stay as all tests of the file know them. */
export async function rolledBack<T>(dataSource: DataSource, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  const runner = dataSource.createQueryRunner()
  try {
    await runner.startTransaction()
    return await work(runner)
  } finally {
    if (runner.isTransactionActive) await runner.rollbackTransaction()
    await runner.release()
  }
}
