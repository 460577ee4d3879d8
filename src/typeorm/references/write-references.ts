import { QueryFailedError } from 'typeorm'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { isServerRefusal, sqlState, undefinedTable } from '../../endpoints/sql-state'
import { ShardedError, unsupported } from '../../errors/sharded-error'
import type { Row } from '../../merging/row'
import { changesText, type Note, notedChanges } from '../../references/noted-changes'
import {
  announce,
  applyNotes,
  lockForWrite,
  maxNoted,
  referenceStates,
  takeNotes,
} from '../../references/reference-sql'
import type { ReferenceWrite } from '../../references/written-tables'
import { maintainLookups } from '../lookups/maintain-lookups'
import type { ShardAccess } from '../runners/shard-access'
import type { NodeText, ShardTransaction } from '../runners/shard-transaction'

interface WriteParts {
  /** In the transaction of the write. */
  readonly access: ShardAccess
  readonly transaction: Pick<ShardTransaction, 'onNode'>
  readonly statement: Omit<NodeText, 'node'>
  /** Sends the statement to the home node. */
  readonly send: () => Promise<QueryResult>
}

interface NotedRow extends Note {
  readonly version: string
}

/**
 * Runs a statement that writes reference tables, in a transaction: once on the home node, where sequences, defaults and clocks
 * are asked and triggers note the rows that it changes; then those rows are written to all other nodes. Only one transaction at a time
 * writes a table, so all nodes see the changes in one order.
 *
 * @throws ShardedError REFERENCE_NOT_INSTALLED, REFERENCE_OUTDATED, REFERENCE_WRITE_TOO_LARGE, STATEMENT_UNSUPPORTED; QueryFailedError
 */
export async function writeReferences(write: ReferenceWrite, parts: WriteParts): Promise<QueryResult> {
  if (write.kind === 'refused') throw unsupported(write.text, { statement: parts.statement.text.slice(0, 500) })
  const { access, send, statement, transaction } = parts
  const { runtime } = access
  const { home } = runtime.map
  const schema = runtime.searchSchemaOf(home)
  const reached = [...new Set(write.names.flatMap((name) => runtime.references.named(name)?.reached ?? []))].sort()
  const { points } = runtime.transactions
  await lock(parts, schema, reached)
  await points.reach('reference:locked', home)
  const result = await sent()
  const paths = JSON.stringify(Object.fromEntries(runtime.references.pathsOn(schema)))
  const notes = notesOf(await transaction.onNode(home, takeNotes(schema), [paths]))
  if (notes.length > 0) {
    await points.reach('reference:noted', home)
    const others = runtime.nodes.filter((node) => node !== home)
    // Each node comes to rest before the transaction is rolled back.
    const settled = await Promise.allSettled(others.map((node) => applyOn(node, notes, parts)))
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed) throw failure(failed.reason, statement)
    await points.reach('reference:applied', undefined)
    await keepLookups(access, notes)
  }
  return result

  /** A statement that the server did not get leaves the transaction as it is: what comes later in it is not announced. */
  async function sent(): Promise<QueryResult> {
    try {
      return await send()
    } catch (error) {
      await transaction.onNode(home, announce, ['']).catch(() => undefined)
      throw error
    }
  }
}

async function lock(
  { access, transaction, statement }: WriteParts,
  schema: string,
  names: readonly string[],
): Promise<void> {
  const { home } = access.runtime.map
  try {
    const rows = await transaction.onNode(home, lockForWrite(schema), [names, JSON.stringify(names)])
    const missing = names.filter((name) => !rows.some((row) => row['name'] === name))
    if (missing.length > 0) throw notInstalled(missing)
  } catch (error) {
    throw sqlState(error) === undefinedTable ? notInstalled(names) : refusalOf(statement, error)
  }
}

const notInstalled = (names: readonly string[]): ShardedError =>
  new ShardedError('REFERENCE_NOT_INSTALLED', `The nodes have no copies of ${names.join(', ')} that are kept.`, {
    details: { tables: names },
  })

/** @throws ShardedError REFERENCE_WRITE_TOO_LARGE */
function notesOf(rows: readonly Row[]): readonly NotedRow[] {
  if (rows.length > maxNoted)
    throw new ShardedError(
      'REFERENCE_WRITE_TOO_LARGE',
      `A statement changed more than ${maxNoted} rows of reference tables.`,
      { details: { rows: rows.length } },
    )
  return rows.flatMap(({ name, op, depth, old, new: after, version }): NotedRow[] =>
    typeof name === 'string'
      ? [{ name, op: String(op), depth: Number(depth), old: textOf(old), new: textOf(after), version: String(version) }]
      : [],
  )
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

async function applyOn(node: string, notes: readonly NotedRow[], { access, transaction }: WriteParts): Promise<void> {
  const { references, searchSchemaOf } = access.runtime
  const schema = searchSchemaOf(node)
  const paths = references.pathsOn(schema)
  const versions = new Map(notes.map(({ name, version }) => [name, { name, version }]))
  await transaction.onNode(node, applyNotes(schema), [
    changesText(notedChanges(notes, (name) => paths.get(name) ?? name)),
    JSON.stringify([...versions.values()]),
  ])
}

/** The server's refusal of a row on a copy is that of the statement: a row of a shard there refers to what was deleted. */
function failure(error: unknown, statement: WriteParts['statement']): unknown {
  if (sqlState(error) === referenceStates.outdated || sqlState(error) === undefinedTable)
    return new ShardedError('REFERENCE_OUTDATED', `A node’s copy is not that of the home node: ${messageOf(error)}.`, {
      cause: error,
    })
  return refusalOf(statement, error)
}

/** A server's error, as one of the statement. */
const refusalOf = ({ text, parameters }: WriteParts['statement'], error: unknown): unknown =>
  isServerRefusal(error) ? new QueryFailedError(text, [...parameters], error) : error

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Foreign keys may have written rows of shards, on every node. */
async function keepLookups(access: ShardAccess, notes: readonly Note[]): Promise<void> {
  const { lookups, map, references } = access.runtime
  const names = new Set(notes.filter(({ op }) => op !== 'INSERT').map(({ name }) => name))
  const groups = new Set([...names].flatMap((name) => references.named(name)?.groups ?? []))
  const shards = [...groups].filter((group) => lookups.maintains(group)).flatMap((group) => map.groups.get(group) ?? [])
  if (shards.length > 0) await maintainLookups(access, shards)
}
