import type { Row } from '../../merging/row'
import {
  closeRows,
  fetchRows,
  fillCopy,
  lockForCopy,
  openRows,
  pruneCopy,
  setVersion,
  stageRows,
} from '../../references/reference-sql'
import { pathOn, type ReferenceTable } from '../binding/references'
import { inTransaction } from '../runners/in-transaction'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardTransaction } from '../runners/shard-transaction'

interface Copy {
  readonly node: string
  /** Each after those that it refers to. */
  readonly tables: readonly ReferenceTable[]
}

/**
 * Makes the copies of a node equal to the home node's tables, in one transaction: writers wait until it ends. Rows that are equal are
 * left as they are, since rows of shards may refer to them.
 */
export async function copyReferences(
  runtime: ShardRuntime,
  openRunner: () => ShardTransaction,
  { node, tables }: Copy,
): Promise<void> {
  const { home } = runtime.map
  const [from, to] = [runtime.searchSchemaOf(home), runtime.searchSchemaOf(node)]
  await inTransaction(new ShardAccess(runtime), openRunner, async (_, transaction) => {
    const versions = await lockVersions(transaction, home, { schema: from, tables })
    await transaction.onNode(node, lockForCopy(to), [tables.map(({ name }) => name)])
    for (const table of tables) {
      await transaction.onNode(home, openRows(from, pathOn(table, from)), [])
      for (;;) {
        const rows = await transaction.onNode(home, fetchRows, [])
        if (rows.length === 0) break
        await transaction.onNode(node, stageRows(to), [table.name, rows.map((row) => row['row'])])
      }
      await transaction.onNode(home, closeRows, [])
    }
    // What refers to others goes first, and comes last.
    for (const table of [...tables].reverse())
      await transaction.onNode(node, pruneCopy(to), [pathOn(table, to), table.name])
    for (const table of tables) await transaction.onNode(node, fillCopy(to), [pathOn(table, to), table.name])
    for (const { name } of tables) await transaction.onNode(node, setVersion(to), [name, versions.get(name) ?? '0'])
  })
}

/** Keeps writers of some tables away until the end of the transaction. @returns the versions of the tables */
export async function lockVersions(
  transaction: Pick<ShardTransaction, 'onNode'>,
  node: string,
  { schema, tables }: { readonly schema: string; readonly tables: readonly ReferenceTable[] },
): Promise<ReadonlyMap<string, string>> {
  const rows: readonly Row[] = await transaction.onNode(node, lockForCopy(schema), [tables.map(({ name }) => name)])
  return new Map(rows.map((row) => [String(row['name']), String(row['version'])]))
}
