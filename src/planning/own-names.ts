import type { Node } from '@pgsql/types'
import { unsupported } from '../errors/sharded-error'
import { someNode, type TreeObject } from '../sql/tree'

/** The columns that a plan adds to the outputs of a query. */
const ownColumn = /^__(?:arm|u\d+|r[know]\d+)$/

/**
 * The names under which outputs come from the nodes: their own, save where that is a name of ours.
 *
 * @example namesOnWire(['id', '__arm']) // ['id', '__u1']
 */
export const namesOnWire = (names: readonly string[]): readonly string[] =>
  names.map((name, index) => (ownColumn.test(name) ? `__u${index}` : name))

/** The queries of a WITH that SQL over shards is put together with. */
const ownQuery = /^__(?:m\d+|held\d+|shipped)__$/

/** A text without one names no query so. PostgreSQL writes the letters of a name in lower case, and reads escapes. */
const mayNameQuery = /__(?:m\d+|held\d+|shipped)__|u&"/i

/** @throws ShardedError STATEMENT_UNSUPPORTED for a statement that names a table or a query as ours are named */
export function refuseOwnNames(text: string, tree: Node): void {
  if (!mayNameQuery.test(text) || !someNode(tree, isNamedAsOurs)) return
  throw unsupported(
    'A table, a query of a WITH or an alias has a name that a statement over shards needs for itself, as __m0__ is.',
    { statement: text.slice(0, 500) },
  )
}

const isNamedAsOurs = ({ relname, ctename, aliasname }: TreeObject): boolean =>
  [relname, ctename, aliasname].some((name) => typeof name === 'string' && ownQuery.test(name))
