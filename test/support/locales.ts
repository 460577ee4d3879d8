import type { Client } from 'pg'

/** Locales of libc that the tests of order want; Debian has them in `locales-all`. */
export const wantedLocales = ['en_US', 'sv_SE', 'zh_CN'] as const

export type WantedLocale = (typeof wantedLocales)[number]

/**
 * Makes a collation for each locale of libc that this server's machine has, and says which. Where `CI` is set, all must
 * be there: `.ci/run` installs them. ICU needs nothing, the servers bring it.
 *
 * @returns locale → the collation's quoted name
 */
export const libcCollations = async (client: Client): Promise<ReadonlyMap<WantedLocale, string>> => {
  const found = new Map<WantedLocale, string>()
  for (const locale of wantedLocales) {
    try {
      await client.query(
        `CREATE COLLATION IF NOT EXISTS "libc ${locale}" (provider = libc, locale = '${locale}.UTF-8')`,
      )
      found.set(locale, `"libc ${locale}"`)
    } catch (error) {
      const isMissing = error instanceof Error && error.message.includes('could not create locale')
      if (!isMissing || process.env['CI']) throw error
    }
  }
  const missing = wantedLocales.filter((locale) => !found.has(locale))
  console.info(`libc locales: ${[...found.keys()].join(', ') || 'none'}; missing: ${missing.join(', ') || 'none'}`)
  return found
}
