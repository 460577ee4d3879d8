import type { Row } from '../../merging/row'
import type { Arm } from '../../query/arm-source'
import type { ShardAccess } from './shard-access'

/** Sends statements to single shards, nodes at once; the rows of each in the order of the statements. */
export const askShards = (access: ShardAccess, statements: readonly Arm[]): Promise<readonly (readonly Row[])[]> =>
  access.query(
    statements.map(({ shard, text, parameters }) => ({ node: shard.node, shards: [shard.name], text, parameters })),
  )

/** Sends one statement to one shard. */
export async function askShard(access: ShardAccess, statement: Arm): Promise<readonly Row[]> {
  const [rows = []] = await askShards(access, [statement])
  return rows
}
