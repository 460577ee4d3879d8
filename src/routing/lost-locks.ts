import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { allOf, fieldsOf, type TreeObject, visit } from '../sql/tree'
import type { Problem } from './problem'

/** What of a statement is read before it, and stands in it as rows that were sent there. */
interface SentRows {
  /** Parts that are always run first. */
  readonly detached: ReadonlySet<unknown>
  /** Tables whose rows are sent to where it runs: of the home node, only where any part runs on shards. */
  readonly sent: ReadonlySet<unknown>
  /** Tables of which every node has a copy: a lock of one copy keeps nobody from the others. */
  readonly copies: ReadonlySet<unknown>
}

interface LostLocks {
  readonly always: readonly Problem[]
  /** Of rows that are sent to where the statement runs. */
  readonly ofSent: readonly Problem[]
  /** Of one of the copies of a reference table, where it runs on shards. */
  readonly ofCopy: readonly Problem[]
  /** The statement locks rows of copies: those of the home node are to be locked. */
  readonly ofCopies: boolean
}

/**
 * Locks of rows that are sent to where the statement runs: there is nothing to lock there. A query that is run first by itself is
 * looked at then.
 *
 * @returns those lost in any case, and those lost where rows are sent or a part of the statement runs on shards
 */
export function lostLocks(statement: Node, { detached, sent, copies }: SentRows): LostLocks {
  const always: Problem[] = []
  const ofSent: Problem[] = []
  const ofCopy: Problem[] = []
  let ofCopies = false
  visit(statement, (object) => {
    if (detached.has(object)) return false
    if (!isLocking(object)) return undefined
    const { lockingClause = [], fromClause = [] } = object
    for (const { name, nodes } of lockedParts(fromClause, lockingClause)) {
      if (nodes.some((node) => detached.has(node))) always.push(lost(name))
      if (nodes.some((node) => sent.has(node))) ofSent.push(lost(name))
      if (!nodes.some((node) => copies.has(node))) continue
      ofCopies = true
      ofCopy.push(lostOnCopy(name))
    }
    return undefined
  })
  return { always, ofSent, ofCopy, ofCopies }
}

/** True for the fields of a query that locks rows: no other node has the field. */
const isLocking = (object: TreeObject): object is TreeObject & SelectStmt => Array.isArray(object['lockingClause'])

const lost = (name: string): Problem => ({
  code: 'STATEMENT_UNSUPPORTED',
  text: `A lock of ${name} would lock no row: the rows of ${name} are read before the statement and sent to where it runs. Name the tables to lock with OF, or lock the rows of ${name} in a query of its own.`,
})

const lostOnCopy = (name: string): Problem => ({
  code: 'STATEMENT_UNSUPPORTED',
  text: `A lock of the reference table ${name} would lock the rows of one copy. Name the tables to lock with OF, or lock the rows of ${name} in a query of its own.`,
})

/** A part of a FROM clause with all tables and queries in it that a lock of it reaches. */
interface Locked {
  readonly name: string
  readonly nodes: readonly unknown[]
}

function lockedParts(from: readonly Node[], clauses: readonly Node[]): readonly Locked[] {
  const parts = from.flatMap(partsOf)
  return allOf(clauses, 'LockingClause').flatMap(({ lockedRels: named }) => {
    if (!named) return parts
    const names = new Set(allOf(named, 'RangeVar').map(({ relname }) => relname))
    return parts.filter(({ name }) => names.has(name))
  })
}

function partsOf(node: Node): readonly Locked[] {
  if ('RangeVar' in node) return [{ name: nameOf(node.RangeVar), nodes: [node.RangeVar] }]
  if ('JoinExpr' in node) return [node.JoinExpr.larg, node.JoinExpr.rarg].flatMap((side) => (side ? partsOf(side) : []))
  if (!('RangeSubselect' in node)) return []
  const { subquery, alias } = node.RangeSubselect
  const select = fieldsOf(subquery, 'SelectStmt')
  const inner = (select?.fromClause ?? []).flatMap(partsOf).flatMap(({ nodes }) => nodes)
  return select ? [{ name: alias?.aliasname ?? 'a subquery', nodes: [select, ...inner] }] : []
}

const nameOf = ({ alias, relname = '' }: RangeVar): string => alias?.aliasname ?? relname
