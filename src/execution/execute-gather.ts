import type { Row } from '../merging/row'
import type { GatherPlan, GatherStatement } from '../planning/gather-plan'
import { withColumnArrays } from '../planning/read-plan'
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
  for (const input of inputs) rows.push(await executeRead(input, host))
  return host.finish({ ...statement, parameters: withColumnArrays(statement.parameters, rows) })
}
