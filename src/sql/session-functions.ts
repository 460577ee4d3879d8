import { wordSet } from '../collections/words'
import { namesOf, visit } from './tree'

/** Functions of PostgreSQL that change the session, or what other sessions see of it, by name. */
const names = wordSet(`
  set_config pg_notify setseed pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock
  pg_try_advisory_lock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_xact_lock
  pg_try_advisory_xact_lock_shared pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all`)

/** A text without a match calls none of them. */
export const mayCallSessionFunction = /set_config|advisory|pg_notify|setseed/i

/** Functions that a statement calls and that change its session, each once. */
export function sessionFunctions(statement: unknown): readonly string[] {
  const found = new Set<string>()
  visit(statement, ({ FuncCall: call }) => {
    const parts = namesOf(call?.funcname)
    const name = parts?.at(-1)
    if (name !== undefined && names.has(name) && (parts?.length === 1 || parts?.[0] === 'pg_catalog')) found.add(name)
    return undefined
  })
  return [...found]
}
