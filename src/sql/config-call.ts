import type { Node, ResTarget } from '@pgsql/types'
import { wordSet } from '../collections/words'
import { namesOf, visit } from './tree'

/** A constant, or the number of a parameter. */
export type GivenValue =
  | { readonly kind: 'constant'; readonly value: string | null }
  | { readonly kind: 'parameter'; readonly number: number }

/** One call of `set_config` in a select list. */
export interface ConfigCall {
  /** Name of its column in the answer. */
  readonly output: string
  /** Undefined where it is an expression. */
  readonly name: GivenValue | undefined
  readonly value: GivenValue | undefined
  readonly isLocal: GivenValue | undefined
}

/**
 * The calls of `set_config` of a query that is nothing but such calls, `SELECT set_config(…), set_config(…)`; undefined for
 * any other statement.
 */
export function configCalls(statement: Node): readonly ConfigCall[] | undefined {
  if (!('SelectStmt' in statement)) return undefined
  const { targetList = [], op, limitOption, ...rest } = statement.SelectStmt
  if (Object.keys(rest).length > 0 || (op !== undefined && op !== 'SETOP_NONE')) return undefined
  if (limitOption !== undefined && limitOption !== 'LIMIT_OPTION_DEFAULT') return undefined
  const calls = targetList.map((target) => ('ResTarget' in target ? callOf(target.ResTarget) : undefined))
  return calls.length > 0 && calls.every((call) => call !== undefined) ? Object.freeze(calls) : undefined
}

function callOf({ val, name: output }: ResTarget): ConfigCall | undefined {
  if (!val || !('FuncCall' in val)) return undefined
  const names = namesOf(val.FuncCall.funcname)
  if (names?.at(-1) !== 'set_config' || (names.length > 1 && names[0] !== 'pg_catalog')) return undefined
  const [name, value, isLocal, another] = val.FuncCall.args ?? []
  if (another || [name, value, isLocal].some((arg) => sessionFunctions(arg).length > 0)) return undefined
  return Object.freeze({
    output: output ?? 'set_config',
    name: given(name),
    value: given(value),
    isLocal: given(isLocal),
  })
}

/** Casts of what is a text, or a boolean, change nothing of it. */
function given(node: Node | undefined): GivenValue | undefined {
  if (!node) return undefined
  if ('TypeCast' in node) {
    const type = namesOf(node.TypeCast.typeName?.names)?.at(-1)
    return type !== undefined && plainTypes.has(type) ? given(node.TypeCast.arg) : undefined
  }
  if ('ParamRef' in node) return { kind: 'parameter', number: node.ParamRef.number ?? 0 }
  if (!('A_Const' in node)) return undefined
  const { sval, boolval, isnull } = node.A_Const
  if (isnull) return { kind: 'constant', value: null }
  if (sval) return { kind: 'constant', value: sval.sval ?? '' }
  if (boolval) return { kind: 'constant', value: String(boolval.boolval ?? false) }
  return undefined
}

const plainTypes: ReadonlySet<string> = new Set(['text', 'varchar', 'bool'])

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
  })
  return [...found]
}
