import type { RawStmt } from '@pgsql/types'
import { ShardedError } from '../errors/sharded-error'

type LibpgQuery = typeof import('libpg-query')

let library: LibpgQuery | undefined
let loading: Promise<void> | undefined

/**
 * Loads the parser (WebAssembly, some megabytes) once a process; `parse` needs it.
 *
 * @throws ShardedError PARSER_UNAVAILABLE where its file is missing, as in a bundle that holds the JavaScript alone
 */
export function loadParser(): Promise<void> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined
    throw new ShardedError('PARSER_UNAVAILABLE', `PostgreSQL’s parser cannot be loaded: ${String(cause)}.`, { cause })
  })
  return loading
}

async function load(): Promise<void> {
  // Not imported: the package starts to compile as soon as it is required, and most processes that require us parse nothing.
  const required: LibpgQuery = require('libpg-query')
  await required.loadModule()
  // Kept: after `jest.resetModules()` another `require` gives another instance, which is not loaded.
  library = required
}

/** True once `loadParser` has ended. */
export const isParserLoaded = (): boolean => library !== undefined

/** Parses a text with the grammar of PostgreSQL 18. @returns undefined where the text is no SQL */
export function parse(text: string): readonly RawStmt[] | undefined {
  if (library === undefined) throw new Error('loadParser() has to be awaited before the first text is parsed.')
  const { hasSqlDetails, parseSync } = library
  try {
    return parseSync(text).stmts ?? []
  } catch (error) {
    if (hasSqlDetails(error)) return undefined
    throw error
  }
}
