import type { ProbedNode } from '../endpoints/probe-session'
import { defaultCluster, ownSchemaOf } from '../values/own-schema'
import { quoted } from '../values/quoted'
import { alone, createOwnSchema, type OwnTable } from './own-table'

/** What earlier versions called the tables, in the schema where names are looked for first. */
const formerNames: Readonly<Record<Exclude<OwnTable, 'databases' | 'processes'>, string>> = {
  nodes: 'sharding_node',
  groups: 'sharding_group',
  epochs: 'sharding_epoch',
  decisions: 'sharding_decision',
  moves: 'sharding_move',
  lookups: 'sharding_lookup',
  workers: 'sharding_worker',
  sequences: 'sharding_sequence',
}

const refusal =
  'The tables of typeorm-sharded are in the schema sharding: this process is of an earlier version, end it and start it with the present one'

/**
 * Moves the tables of an earlier version to the schema of the default cluster, all in one transaction. A view takes the place of each, and
 * refuses whatever is done to it: a process of the earlier version would make the tables anew, and give numbers and ids again.
 *
 * @returns false where there are none
 * @throws the database's error where the role may not
 */
export async function moveOwnTables(node: ProbedNode): Promise<boolean> {
  const own = ownSchemaOf(defaultCluster)
  if (node.ownSchema !== own) return false
  const before = (name: string): string => `${quoted(node.facts.searchSchema)}.${quoted(name)}`
  const tables = Object.entries(formerNames)
  const isTable = (name: string): string =>
    `EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('${before(name)}') AND relkind = 'r')`
  const { rows } = await node.query(`SELECT ${tables.map(([, name]) => isTable(name)).join(' OR ')} AS found`)
  if (rows[0]?.['found'] !== true) return false
  const steps = tables.map(([name, former]) => {
    const now = `${quoted(own)}.${quoted(name)}`
    return `IF ${isTable(former)} AND to_regclass('${now}') IS NULL THEN
      ALTER TABLE ${before(former)} SET SCHEMA ${quoted(own)};
      ALTER TABLE ${quoted(own)}.${quoted(former)} RENAME TO ${quoted(name)};
      CREATE VIEW ${before(former)} AS SELECT * FROM ${now} WHERE ${quoted(own)}.moved() WITH CHECK OPTION;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ${before(former)} TO PUBLIC;
    END IF;`
  })
  // STABLE: the server asks before it reads, also a table without rows.
  await node.query(
    alone(`${createOwnSchema(node)};
      CREATE OR REPLACE FUNCTION ${quoted(own)}.moved() RETURNS boolean LANGUAGE plpgsql STABLE AS
        $moved$ BEGIN RAISE EXCEPTION '${refusal}.'; END $moved$;
      DO $move$ BEGIN ${steps.join('\n')} END $move$`),
  )
  return true
}
