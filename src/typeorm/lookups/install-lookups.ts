import type { NodePool } from '../../endpoints/node-pool'
import { askTriggers, captureTriggers, createCapture, dropCapture, dropTriggers } from '../../lookups/capture-sql'
import { createLookup, dropLookup } from '../../lookups/lookup-sql'
import { definitionOf } from '../../lookups/lookup-table'
import { tableOn } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { literal } from '../../values/literal'
import type { LookupBinding } from '../binding/lookup-binding'
import type { Lookups } from '../binding/lookups'
import { ensureSchema } from '../schema/ensure-schema'

/**
 * Makes on one shard what lookups need there: their own tables, or for the tables of entities the triggers that note changes.
 * What is up to date is left alone, since triggers are made under a lock that all writes wait for.
 */
export async function installLookups(lookups: Lookups, shard: Shard, pool: NodePool): Promise<void> {
  for (const binding of ownOf(lookups, shard)) {
    if (shard.layout === 'schema') await ensureSchema(shard, pool)
    await installTable(binding, shard, pool)
  }
  const bindings = lookups.ofGroup(shard.group)
  if (bindings.length === 0) return
  await pool.query(createCapture(shard))
  for (const name of new Set(bindings.map(({ table }) => table.source.table))) {
    const tables = bindings.map(({ table }) => table).filter(({ source }) => source.table === name)
    const { rows } = await pool.query(askTriggers(name, shard))
    const { create, stamp } = captureTriggers(tables, name, shard)
    if (rows[0]?.stamp !== stamp) await pool.query(create)
  }
}

/** Drops it again. */
export async function uninstallLookups(lookups: Lookups, shard: Shard, pool: NodePool): Promise<void> {
  for (const { table } of ownOf(lookups, shard)) await pool.query(dropLookup(table, shard))
  const bindings = lookups.ofGroup(shard.group)
  if (bindings.length === 0) return
  for (const name of new Set(bindings.map(({ table }) => table.source.table)))
    await pool.query(dropTriggers(name, shard))
  await pool.query(dropCapture(shard))
}

const ownOf = (lookups: Lookups, shard: Shard): readonly LookupBinding[] =>
  lookups.all.filter(({ table }) => table.name === shard.group)

/** A table that was made for another declaration is made anew, and empty. */
async function installTable({ table, shards }: LookupBinding, shard: Shard, pool: NodePool): Promise<void> {
  const name = tableOn(table.name, shard)
  const definition = definitionOf(table, shards.length)
  const { rows } = await pool.query('SELECT obj_description(to_regclass($1), $2) AS definition', [name, 'pg_class'])
  if (rows[0]?.definition === definition) return
  await pool.query(
    `${dropLookup(table, shard)}; ${createLookup(table, shard)}; COMMENT ON TABLE ${name} IS ${literal(definition)}`,
  )
}
