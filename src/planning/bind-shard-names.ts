import { unsupported } from '../errors/sharded-error'
import type { PlacedTables, Shard } from '../topology/shard'
import { quoted } from '../values/quoted'

/** The schema that stands in every statement on a sharded entity until its shard is known. */
export const placeholderSchema = '__shard__'

/** The schema of a table that a statement names for the types of its columns, whichever group's shard it runs on. */
const typeSchema = (group: string): string => `${placeholderSchema}:${group}`

/** A table of a group as a statement names it for the types of its columns, which each shard has for itself. */
export const typesOfTable = (group: string, table: string): string => `${quoted(typeSchema(group))}.${quoted(table)}`

/** A pseudo table of the placeholder schema: bound to the index of the shard, it tags the rows of a scatter. */
export const armTag = `"${placeholderSchema}"."__arm__"`

/** What may hold any character, and is no part of the SQL around it: strings of all kinds, comments (one within another too), names. */
export const passedOver = [
  String.raw`(?<![\p{L}\p{N}_$])[eE]'(?:[^'\\]+|''|\\[\s\S])*'`,
  // With a doubled quote it is two of them.
  "'[^']*'",
  String.raw`(?<![\p{L}\p{N}_$])\$(?<tag>(?:[\p{L}_][\p{L}\p{N}_]*)?)\$[\s\S]*?\$\k<tag>\$`,
  String.raw`--[^\r\n]*`,
  String.raw`\/\*(?:\/\*[\s\S]*?\*\/|[\s\S])*?\*\/`,
  '"(?:[^"]|"")*"',
].join('|')

/** Only the placeholder's qualified names are bound. */
const placeholder = new RegExp(`"__shard__(?::((?:[^"]|"")*))?"\\."((?:[^"]|"")+)"|${passedOver}`, 'gu')

/** The table of an UPDATE or DELETE without an alias. */
const written =
  /^(\s*(?:UPDATE|DELETE\s+FROM)\s+"__shard__"\."((?:[^"]|"")+)")(?=\s+(?:SET|WHERE|USING|RETURNING)\b|\s*$)/iu

/**
 * Binds a statement to a shard: `"__shard__"."order"` becomes `"user_07"."order"` (layout `schema`) or
 * `"public"."order_07"` (layout `table`).
 */
export function bindShardNames(text: string, shard: Shard): string {
  if (!text.includes('"__shard__')) return text
  // A user may qualify a column with the table's name, which the table of a shard does not have here.
  const named = shard.layout === 'table' ? text.replace(written, '$1 AS "$2"') : text
  return named.replace(placeholder, (found: string, group: string | undefined, table: string | undefined) => {
    if (table === undefined) return found
    if (group === undefined && table === '__arm__') return String(shard.index)
    const place = group === undefined ? shard : typesOn(shard, unquoted(group))
    const { schema, name } = physicalName(table, place)
    return `"${schema}"."${name}"`
  })
}

const unquoted = (name: string): string => name.replaceAll('""', '"')

/** The groups whose types a text needs where it runs. */
export function groupsOfTypes(text: string): ReadonlySet<string> {
  if (!text.includes('"__shard__:')) return new Set()
  return new Set([...text.matchAll(placeholder)].flatMap(([, group]) => (group === undefined ? [] : unquoted(group))))
}

/** Whether the types of groups are there where a shard is. */
export const hasTypes = ({ group, beside }: Shard, groups: ReadonlySet<string>): boolean =>
  [...groups].every((one) => one === group || beside?.has(one) === true)

function typesOn(shard: Shard, group: string): PlacedTables {
  const place = group === shard.group ? shard : shard.beside?.get(group)
  if (place) return place
  throw unsupported(
    `Values of a type (an enum) that only the shards of ${group} have are needed on node ${shard.node}, which has none of these shards. Place one there (placement), or read the values in a query of their own, as text.`,
    { group, node: shard.node },
  )
}

/** What a statement on a shard calls the table that it writes, where it has no alias of its own for it. */
export const writtenName = (table: string, text: string, shard: Shard): string =>
  shard.layout === 'schema' || written.test(text) ? table : physicalName(table, shard).name

/** Where a logical table of a shard's group stands on the shard's node. */
export function physicalName(table: string, shard: PlacedTables): { readonly schema: string; readonly name: string } {
  if (shard.layout === 'schema') return { schema: shard.name, name: table }
  return { schema: 'public', name: `${table}_${shard.label}` }
}

/** A logical table on a shard, as SQL names it. @example tableOn('order', shard) // '"user_07"."order"' */
export function tableOn(table: string, shard: Shard): string {
  const { schema, name } = physicalName(table, shard)
  return `${quoted(schema)}.${quoted(name)}`
}
