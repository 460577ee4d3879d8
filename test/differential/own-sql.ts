import { type EntitySpec, primaryOf, specs } from './columns'
import type { Data } from './data'
import type { Rng } from './rng'
import { tableName } from './sources'

/** Tables that the application's own SQL may name beside an entity. */
const tablesBeside = ({ name, children, parent }: EntitySpec): readonly string[] =>
  [name, children?.entity ?? name, parent?.entity ?? name, 'Setting' as const].map((one) => tableName(specs[one]))

/** A condition on `count` that asks a table. */
export function rawSubquery(rng: Rng, spec: EntitySpec): Data {
  const table = rng.pick(tablesBeside(spec))
  const sql = rng.pick([
    `{} IN (SELECT "count" FROM ${table})`,
    `{} NOT IN (SELECT "count" FROM ${table} WHERE "count" > :least)`,
    `{} = (SELECT max("count") FROM ${table} WHERE "count" < :least)`,
    `{} >= (SELECT avg("count") FROM ${table})`,
  ])
  return { $: 'raw', sql, of: sql.includes(':least') ? { least: rng.int(6) } : {} }
}

/** A value of `count` that is asked of a table. */
export function sqlSubquery(rng: Rng, spec: EntitySpec): Data {
  const { children } = spec
  const table = rng.pick(tablesBeside(spec))
  const [id] = primaryOf(spec)
  const ofChildren =
    children && id
      ? [
          `(SELECT count(*) FROM ${tableName(specs[children.entity])} "c" WHERE "c"."${children.foreignKey}" = ${tableName(spec)}."${id.path}")`,
        ]
      : []
  return {
    $: 'sql',
    v: rng.pick([
      `(SELECT count(*) FROM ${table})`,
      `(SELECT max("count") FROM ${table} WHERE "count" < 9)`,
      `(SELECT coalesce(min("s"."count"), 3) FROM ${table} "s")`,
      ...ofChildren,
    ]),
  }
}
