import type { Row } from '../merging/row'
import { maxGatherKeys } from '../planning/gather-order'
import type { GatherInput, GatherPlan, GatherStatement } from '../planning/gather-plan'
import { type ColumnArray, type ReadPlan, withColumnArrays } from '../planning/read-plan'
import { executeRead, type ReadHost } from './execute-read'

/** What a gather asks of the operation that it runs for. */
export interface GatherHost extends ReadHost {
  /** Sends the query over the copies to its node. */
  finish(statement: GatherStatement): Promise<readonly Row[]>
}

/**
 * Runs a gather: reads the tables one after the other, and then asks one node.
 *
 * @throws what `executeRead` throws
 */
export async function executeGather({ inputs, statement }: GatherPlan, host: GatherHost): Promise<readonly Row[]> {
  const rows: (readonly Row[])[] = []
  for (const input of inputs) rows.push(await executeRead(await sourceOf(input, rows), host))
  return host.finish({ ...statement, parameters: withColumnArrays(statement.parameters, rows) })
}

async function sourceOf({ source, reduced }: GatherInput, rows: readonly (readonly Row[])[]): Promise<ReadPlan> {
  const keys = reduced?.keys.map((column) => valuesOf(column, rows))
  return reduced && keys?.some((values) => values !== undefined) ? reduced.plan(keys) : source
}

/** NULL equals nothing. */
function valuesOf({ input, column }: ColumnArray, rows: readonly (readonly Row[])[]): readonly unknown[] | undefined {
  const values = new Set((rows[input] ?? []).map((row) => row[column]))
  values.delete(null)
  return values.size > maxGatherKeys ? undefined : [...values]
}
