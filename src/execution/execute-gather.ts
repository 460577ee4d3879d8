import { chunksOf } from '../collections/chunks-of'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { GatherBudget } from '../model/limits'
import { maxGatherKeys } from '../planning/gather-order'
import type { GatherInput, GatherPlan, GatherStatement, HomeRead, InputSource, ManyRows } from '../planning/gather-plan'
import { type ColumnArray, withColumnArrays } from '../planning/read-plan'
import { executeRead, type ReadHost } from './execute-read'

/** Sends a statement to the node of a gather. */
export type AskNode = (statement: Pick<GatherStatement, 'text' | 'parameters'>) => Promise<readonly Row[]>

/** What the inputs of a gather ask of the operation that it runs for. */
export interface InputHost extends ReadHost {
  /** Reads a table of the home node. */
  home(read: HomeRead): Promise<readonly Row[]>
  /** What all tables together may give. */
  readonly budget: GatherBudget
}

/** What a gather asks of the operation that it runs for. */
export interface GatherHost extends InputHost {
  /** Sends the query over the copies to its node. */
  finish(statement: GatherStatement): Promise<readonly Row[]>
  /** Works on a connection of the statement's node, in a transaction of which nothing stays. */
  temporarily<T>(statement: GatherStatement, work: (ask: AskNode) => Promise<T>): Promise<T>
}

/** Rows that are sent at once. */
const batchRows = 10_000

/**
 * Runs a gather: reads the tables one after the other, and then asks one node.
 *
 * @throws what `executeRead` throws
 */
export async function executeGather(
  { inputs, statement, many }: GatherPlan,
  host: GatherHost,
): Promise<readonly Row[]> {
  const rows = await readInputs(inputs, host)
  const count = rows.reduce((sum, { length }) => sum + length, 0)
  if (many && count > many.from) return host.temporarily(many.statement, (ask) => overTables(many, rows, ask))
  return host.finish({ ...statement, parameters: withColumnArrays(statement.parameters, rows) })
}

/**
 * Reads tables one after the other, each by the values of those before it.
 *
 * @returns the rows of each
 * @throws ShardedError GATHER_TOO_LARGE
 */
export async function readInputs(
  inputs: readonly GatherInput[],
  host: InputHost,
): Promise<readonly (readonly Row[])[]> {
  const rows: (readonly Row[])[] = []
  const read = { rows: 0, bytes: 0 }
  for (const input of inputs) {
    const source = await sourceOf(input, rows)
    const own = await (source.kind === 'home' ? host.home(source) : executeRead(source, host))
    read.rows += own.length
    read.bytes += lettersOf(own)
    if (read.rows > host.budget.rows)
      throw tooLarge('rows', { ...read, tables: inputs.map(({ table }) => table) }, host)
    if (read.bytes > host.budget.bytes)
      throw tooLarge('bytes', { ...read, tables: inputs.map(({ table }) => table) }, host)
    rows.push(own)
  }
  return rows
}

function lettersOf(rows: readonly Row[]): number {
  let letters = 0
  for (const row of rows)
    for (const name in row) {
      const value = row[name]
      if (typeof value === 'string') letters += value.length
    }
  return letters
}

interface Read {
  readonly rows: number
  readonly bytes: number
  readonly tables: readonly string[]
}

const tooLarge = (what: keyof GatherBudget, read: Read, { budget }: InputHost): ShardedError =>
  new ShardedError(
    'GATHER_TOO_LARGE',
    `The query needs copies of more than ${budget[what]} ${what} (gather.${what}) of ${read.tables.join(', ')}.`,
    { details: { ...read, option: `gather.${what}`, budget: budget[what] } },
  )

/** Where this is left by an error, the transaction ends, and with it the tables. */
async function overTables(
  { tables, statement }: ManyRows,
  inputs: readonly (readonly Row[])[],
  ask: AskNode,
): Promise<readonly Row[]> {
  for (const [index, { create, fill, width, settle }] of tables.entries()) {
    const rows = inputs[index] ?? []
    await ask({ text: create, parameters: [] })
    for (const batch of chunksOf(rows, batchRows)) {
      const parameters = Array.from({ length: width }, (_, column) => batch.map((row) => row[`c${column}`]))
      await ask({ text: fill, parameters })
    }
    for (const text of settle) await ask({ text, parameters: [] })
  }
  return ask(statement)
}

async function sourceOf({ source, reduced }: GatherInput, rows: readonly (readonly Row[])[]): Promise<InputSource> {
  const keys = reduced?.keys.map((column) => valuesOf(column, rows))
  return reduced && keys?.some((values) => values !== undefined) ? reduced.plan(keys) : source
}

/** NULL equals nothing. */
function valuesOf({ input, column }: ColumnArray, rows: readonly (readonly Row[])[]): readonly unknown[] | undefined {
  const values = new Set((rows[input] ?? []).map((row) => row[column]))
  values.delete(null)
  return values.size > maxGatherKeys ? undefined : [...values]
}
