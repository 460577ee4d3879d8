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

/** How one collation of one node sorts, as its catalog and its libraries say. */
export interface CollationFacts {
  readonly provider: 'libc' | 'icu' | 'builtin'
  /** The provider's name of the locale: `en_US.utf8`, `sv-u-kn`, `C`. */
  readonly locale: string
  /** ICU's own rules on top of the locale; empty: none. */
  readonly rules: string
  /** False: texts that differ may be equal. */
  readonly deterministic: boolean
  /** The version that was recorded when the collation was made; undefined where it has none (`C`). */
  readonly recordedVersion: string | undefined
  /** The version of the library that the server runs with: it decides how texts sort now. */
  readonly actualVersion: string | undefined
}

/** What a node says of itself that decides how its values sort. */
export interface NodeSortFacts {
  readonly node: string
  /** Of the database: `UTF8`, `LATIN1` … */
  readonly encoding: string
  /** By `collationKey`; the database's own is `"default"`. A name that was asked for and is not here does not exist. */
  readonly collations: ReadonlyMap<string, CollationFacts>
  /** The settings by which values are written as text (dates, intervals, money), as one comparable text. */
  readonly textForm: string
}

/** What a node says of a collation; undefined where it has none of that name. */
export const collationOf = ({ collations }: NodeSortFacts, name: string): CollationFacts | undefined =>
  collations.get(collationKey(name))

/** PostgreSQL's own locales, all of which compare code points. */
const builtinLocales = new Set(['C', 'C.UTF-8', 'PG_UNICODE_FAST'])

/**
 * True where the collation orders texts by code points. libc's `C.UTF-8` is not counted: old libraries differ.
 */
export function sortsByCodePoint({ encoding }: NodeSortFacts, { provider, locale }: CollationFacts): boolean {
  if (encoding !== 'UTF8') return false
  if (provider === 'libc') return locale === 'C' || locale === 'POSIX'
  return provider === 'builtin' && builtinLocales.has(locale)
}

/** All of a collation that decides the order of texts, as one comparable text. */
export function describeCollation(
  { encoding }: NodeSortFacts,
  { provider, locale, rules, deterministic, actualVersion }: CollationFacts,
): string {
  return [
    provider,
    provider === 'libc' ? libcName(locale) : locale,
    ...(rules === '' ? [] : [`rules ${JSON.stringify(rules)}`]),
    ...(deterministic ? [] : ['nondeterministic']),
    ...(actualVersion === undefined ? [] : [`version ${actualVersion}`]),
    ...(encoding === 'UTF8' ? [] : [encoding]),
  ].join(' ')
}

/** glibc reads `en_US.UTF-8` and `en_US.utf8` as one name. */
const libcName = (locale: string): string =>
  locale.replace(/\.([^@]*)/, (_, codeset: string) => `.${codeset.toLowerCase().replace(/[^a-z0-9]/g, '')}`)
