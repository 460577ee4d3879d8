/** The key of the collation of the database: of expressions that have none of their own. */
export const defaultCollation = '"default"'

/** One identifier: in double quotes (with doubled ones inside), or bare. */
const identifier = /"((?:[^"]|"")*)"|([^\s".]+)/g

/**
 * A collation's name in one form, whichever way it was written: every identifier quoted, `pg_catalog` left out.
 *
 * @param name as SQL has it, or as `pg_collation_for` gives it
 * @example collationKey('pg_catalog."en_US.utf8"') // '"en_US.utf8"'
 * @example collationKey('german') // '"german"'
 */
export function collationKey(name: string): string {
  const parts = [...name.matchAll(identifier)].map(([, quoted, bare]) => quoted ?? bare?.toLowerCase() ?? '')
  const path = parts.length > 1 && parts[0] === 'pg_catalog' ? parts.slice(1) : parts
  return path.map((part) => `"${part}"`).join('.')
}
