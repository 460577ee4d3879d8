import { askSum } from '../../references/reference-sql'
import { pathOn, type ReferenceTable } from '../binding/references'
import { inTransaction } from '../runners/in-transaction'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardTransaction } from '../runners/shard-transaction'
import { lockVersions } from './copy-references'

/** One copy of a reference table. */
export interface ReferenceReport {
  readonly table: string
  readonly node: string
  readonly rows: number
  /** Its rows are those of the home node's table. */
  readonly equal: boolean
}

/** Compares the copies of each table by their checksums, one table after the other; its writers wait for so long. */
export async function compareReferences(
  runtime: ShardRuntime,
  openRunner: () => ShardTransaction,
): Promise<readonly ReferenceReport[]> {
  const reports: ReferenceReport[] = []
  for (const table of runtime.references.all)
    await inTransaction(new ShardAccess(runtime), openRunner, async (_, transaction) => {
      reports.push(...(await compare(runtime, transaction, table)))
    })
  return Object.freeze(reports)
}

async function compare(
  runtime: ShardRuntime,
  transaction: Pick<ShardTransaction, 'onNode'>,
  table: ReferenceTable,
): Promise<readonly ReferenceReport[]> {
  const { home } = runtime.map
  const sumOn = async (node: string) => {
    const schema = runtime.searchSchemaOf(node)
    // Of a node that is about to commit a write, the lock waits for the end of it.
    const versions = await lockVersions(transaction, node, { schema, tables: [table] })
    const [row] = await transaction.onNode(node, askSum(schema), [pathOn(table, schema)])
    return { node, version: versions.get(table.name), rows: Number(row?.['rows']), checksum: row?.['checksum'] }
  }
  const first = await sumOn(home)
  const others = await Promise.all(runtime.nodes.filter((node) => node !== home).map(sumOn))
  return [first, ...others].map(({ node, version, rows, checksum }) =>
    Object.freeze({
      table: table.name,
      node,
      rows,
      equal: version === first.version && rows === first.rows && checksum === first.checksum,
    }),
  )
}
