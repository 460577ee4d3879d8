import type { NodePool } from '../../endpoints/node-pool'
import type { Row } from '../../merging/row'
import { physicalName } from '../../planning/bind-shard-names'
import type { PlacedTables } from '../../topology/shard'
import { quoted } from '../../values/quoted'

/** Whether a node has all tables of a shard. @param tables without the suffix of the shard */
export async function hasTables(
  { background }: Pick<NodePool, 'background'>,
  shard: PlacedTables,
  tables: readonly string[],
): Promise<boolean> {
  const paths = tables.map((table) => {
    const { schema, name } = physicalName(table, shard)
    return `${quoted(schema)}.${quoted(name)}`
  })
  const { rows } = await background.query(
    'SELECT count(*)::int AS missing FROM unnest($1::text[]) AS path WHERE to_regclass(path) IS NULL',
    [paths],
  )
  const [row]: readonly Row[] = rows
  return row?.['missing'] === 0
}
