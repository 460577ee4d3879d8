import type { RangeVar } from '@pgsql/types'
import type { TableUse } from './scope'

/** Which sharded tables of a statement are on the shards that it runs on. The rows of all others are sent there. */
export interface Narrowing {
  /** Tells one narrowing of a statement from another. */
  readonly name: string
  readonly isOnShards: (use: TableUse) => boolean
  /**
   * A query that hangs on no row of the rest may be read in any way before it, and is where it reads nothing of those shards: its rows
   * are sent, not those of its tables. Each node gets the same rows of it, whatever it leaves open.
   */
  readonly asksApart: boolean
  /** It runs once, on the home node, which has the unsharded tables: no rows of these are sent. */
  readonly isAtHome: boolean
}

export const wholeStatement: Narrowing = Object.freeze({
  name: 'whole',
  isOnShards: () => true,
  asksApart: false,
  isAtHome: false,
})

/** A write that no table of it leaves. */
export const wholeWrite: Narrowing = Object.freeze({ ...wholeStatement, name: 'write', asksApart: true })

/** A query whose rows are those of one group. */
export const queryOfGroup = (group: string): Narrowing =>
  Object.freeze({
    name: `query of ${group}`,
    isOnShards: ({ table }: TableUse) => table.group === group,
    asksApart: false,
    isAtHome: false,
  })

/** A write beside which the tables of its own group stay. */
export const writeOfGroup = (group: string): Narrowing =>
  Object.freeze({ ...queryOfGroup(group), name: `write of ${group}`, asksApart: true })

/** A write of one table beside which no other stays, itself included where it stands once more. */
export const writeOfTable = (target: RangeVar): Narrowing =>
  Object.freeze({
    name: 'write of its table',
    isOnShards: ({ rangeVar }: TableUse) => rangeVar === target,
    asksApart: true,
    isAtHome: false,
  })

/** A write of a table without shards: rows of all others are sent to the home node. */
export const writeAtHome: Narrowing = Object.freeze({
  name: 'write at home',
  isOnShards: () => false,
  asksApart: true,
  isAtHome: true,
})
