import type { DefElem, Node, RangeVar, TransactionStmt, VariableSetStmt } from '@pgsql/types'
import { type ConfigCall, configCalls, sessionFunctions } from './config-call'
import { allOf } from './tree'

/** Modes of a transaction, as SQL writes them. */
export interface TransactionModes {
  readonly isolation: string | undefined
  /** `READ ONLY`, `DEFERRABLE` and their opposites. */
  readonly others: readonly string[]
}

/** COMMIT or ROLLBACK of a whole transaction. */
export interface EndStatement {
  readonly kind: 'commit' | 'rollback'
  readonly chain: boolean
}

export interface SavepointStatement {
  readonly kind: 'savepoint' | 'release' | 'rollback-to'
  readonly name: string
}

/** SET and RESET; without a name it is RESET ALL. */
export interface SettingStatement {
  readonly kind: 'setting'
  readonly name: string | undefined
  /** Undefined where it is given no one text. */
  readonly value: string | undefined
  readonly isLocal: boolean
  readonly resets: boolean
}

/** What one server keeps: names of channels and of prepared statements, temporary tables, cursors, locks. */
export interface KeptStatement {
  readonly kind: 'kept'
  readonly what: string
  /** It outlives the transaction. */
  readonly leaks: boolean
  /** A transaction that has done so may be prepared. */
  readonly isPreparable: boolean
  /** It sets what other nodes would need to have too, in a way that is not read here. */
  readonly sets: boolean
  /** The temporary relation that it makes. */
  readonly makes?: string | undefined
  /** It gives all settings back what a new session has. */
  readonly resetsAll?: boolean
}

/** What a statement does to the session or the transaction that it runs in. */
export type SessionStatement =
  | { readonly kind: 'begin'; readonly modes: TransactionModes }
  | EndStatement
  | SavepointStatement
  | { readonly kind: 'modes'; readonly modes: TransactionModes }
  /** SET CONSTRAINTS; without names it is ALL. */
  | { readonly kind: 'constraints'; readonly names: readonly string[] }
  | SettingStatement
  /** A query that is calls of `set_config` and nothing else. */
  | { readonly kind: 'config'; readonly calls: readonly ConfigCall[] }
  | KeptStatement
  /** What can be said of one server only. */
  | { readonly kind: 'foreign'; readonly what: string }

/** What a statement does to its session; undefined for one that leaves it as it is. */
export function sessionStatement(statement: Node): SessionStatement | undefined {
  const found = utilityStatement(statement)
  if (found) return Object.freeze(found)
  const calls = configCalls(statement)
  if (calls) return Object.freeze({ kind: 'config', calls })
  const called = sessionFunctions(statement)
  if (called.length === 0) return undefined
  const what = called.map((name) => `${name}()`).join(', ')
  const sets = called.includes('set_config')
  return Object.freeze({ kind: 'kept', what, leaks: sets, isPreparable: !called.includes('pg_notify'), sets })
}

function utilityStatement(statement: Node): SessionStatement | undefined {
  if ('TransactionStmt' in statement) return transactionControl(statement.TransactionStmt)
  if ('VariableSetStmt' in statement) return setting(statement.VariableSetStmt)
  if ('ConstraintsSetStmt' in statement) {
    const { constraints = [] } = statement.ConstraintsSetStmt
    return { kind: 'constraints', names: constraints.map((one) => ('RangeVar' in one && one.RangeVar.relname) || '') }
  }
  if ('ListenStmt' in statement) return kept('LISTEN', { leaks: true, isPreparable: false })
  if ('UnlistenStmt' in statement) return kept('UNLISTEN', { isPreparable: false })
  if ('NotifyStmt' in statement) return kept('NOTIFY', { isPreparable: false })
  if ('DiscardStmt' in statement) return kept('DISCARD', { resetsAll: statement.DiscardStmt.target === 'DISCARD_ALL' })
  if ('LoadStmt' in statement) return kept('LOAD', { leaks: true })
  if ('PrepareStmt' in statement)
    return kept('PREPARE', { leaks: true, sets: sessionFunctions(statement).includes('set_config') })
  if ('ExecuteStmt' in statement) return kept('EXECUTE')
  if ('DeallocateStmt' in statement) return kept('DEALLOCATE')
  if ('DeclareCursorStmt' in statement) return kept('DECLARE', { leaks: isHeld(statement.DeclareCursorStmt.options) })
  return temporary(statement)
}

const kept = (
  what: string,
  { leaks = false, isPreparable = true, sets = false, resetsAll = false } = {},
): KeptStatement => ({ kind: 'kept', what, leaks, isPreparable, sets, ...(resetsAll && { resetsAll }) })

/** CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h. */
const isHeld = (options = 0): boolean => (options & 0x20) !== 0

function temporary(statement: Node): SessionStatement | undefined {
  const made = madeRelation(statement)
  if (made?.relpersistence !== 't') return undefined
  return { ...kept('CREATE TEMPORARY', { leaks: true, isPreparable: false }), makes: made.relname }
}

function madeRelation(statement: Node): RangeVar | undefined {
  if ('CreateStmt' in statement) return statement.CreateStmt.relation
  if ('CreateTableAsStmt' in statement) return statement.CreateTableAsStmt.into?.rel
  if ('SelectStmt' in statement) return statement.SelectStmt.intoClause?.rel
  if ('ViewStmt' in statement) return statement.ViewStmt.view
  return 'CreateSeqStmt' in statement ? statement.CreateSeqStmt.sequence : undefined
}

function transactionControl({
  kind,
  options,
  chain = false,
  savepoint_name: name = '',
}: TransactionStmt): SessionStatement | undefined {
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return { kind: 'begin', modes: modesOf(options) }
    case 'TRANS_STMT_COMMIT':
      return { kind: 'commit', chain }
    case 'TRANS_STMT_ROLLBACK':
      return { kind: 'rollback', chain }
    case 'TRANS_STMT_SAVEPOINT':
      return { kind: 'savepoint', name }
    case 'TRANS_STMT_RELEASE':
      return { kind: 'release', name }
    case 'TRANS_STMT_ROLLBACK_TO':
      return { kind: 'rollback-to', name }
    case 'TRANS_STMT_PREPARE':
      return { kind: 'foreign', what: 'PREPARE TRANSACTION' }
    default:
      // COMMIT PREPARED and ROLLBACK PREPARED end a transaction that no session is in.
      return undefined
  }
}

function setting({ kind, name = '', args, is_local: isLocal = false }: VariableSetStmt): SessionStatement {
  const plain = { kind: 'setting', name: name.toLowerCase(), value: undefined, isLocal, resets: false } as const
  if (kind === 'VAR_RESET_ALL') return { ...plain, name: undefined, resets: true }
  if (kind !== 'VAR_SET_MULTI') {
    const resets = kind === 'VAR_RESET' || kind === 'VAR_SET_DEFAULT'
    return { ...plain, resets, value: resets ? undefined : args?.map(settingText).join(', ') }
  }
  if (name === 'TRANSACTION') return { kind: 'modes', modes: modesOf(args) }
  if (name === 'SESSION CHARACTERISTICS') return { ...plain, name: 'default_transaction_isolation' }
  return { kind: 'foreign', what: `SET ${name}` }
}

function settingText(node: Node): string {
  if (!('A_Const' in node)) return ''
  const { sval, ival, fval, boolval } = node.A_Const
  return sval?.sval ?? fval?.fval ?? (boolval ? String(boolval.boolval ?? false) : String(ival?.ival ?? 0))
}

function modesOf(nodes: readonly Node[] | undefined): TransactionModes {
  let isolation: string | undefined
  const others: string[] = []
  for (const element of allOf(nodes, 'DefElem')) {
    const { defname } = element
    if (defname === 'transaction_isolation') isolation = constantOf(element).toUpperCase()
    else if (defname === 'transaction_read_only') others.push(isOn(element) ? 'READ ONLY' : 'READ WRITE')
    else if (defname === 'transaction_deferrable') others.push(isOn(element) ? 'DEFERRABLE' : 'NOT DEFERRABLE')
  }
  return Object.freeze({ isolation, others: Object.freeze(others) })
}

const constantOf = ({ arg }: DefElem): string => (arg && 'A_Const' in arg && arg.A_Const.sval?.sval) || ''

/** The parser leaves out a number that is 0. */
const isOn = ({ arg }: DefElem): boolean => Boolean(arg && 'A_Const' in arg && arg.A_Const.ival?.ival)
