import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import type { Row } from '../../merging/row'
import { takeTemplate, updateTemplate } from '../../planning/carried-rows'
import { type KeyUpdate, keyUpdateOf } from '../../planning/key-update'
import type { TableColumn } from '../../planning/table-facts'
import { knownValue } from '../../routing/known-value'
import { keyText } from '../../routing/route'
import type { TableUse } from '../../routing/scope'
import type { Shard } from '../../topology/shard'
import { valueToStore } from '../../values/converted-value'
import { groupTables } from '../binding/child-links'
import { canonicalColumnKey, type EntityBinding, shardOfKey } from '../binding/entity-binding'
import { refuseMovedRow } from '../binding/refuse-moved-id'
import { maintainLookups } from '../lookups/maintain-lookups'
import { inSavepoint, inTransaction } from '../runners/in-transaction'
import { withoutTransactionEvents } from '../runners/without-transaction-events'
import type { StatementWriter, Write } from './planned-write'
import { addressesOf, carriedRow, checkSize, type MovingRow, RowMover } from './row-mover'
import { localisedFor, pick, refuseProblems, rowsOf } from './statement-run'
import { takeChildren } from './take-children'

/** A row of an UPDATE, locked on its shard: what it will be, and where. */
interface TakenRow extends MovingRow {
  readonly from: Shard
  readonly to: Shard
  readonly before: readonly (string | null)[]
  readonly after: readonly (string | null)[]
}

/**
 * Runs an UPDATE that sets the shard key. The rows it finds are locked first; those whose new key is of the same shard are
 * updated there, the others are taken from their shard and put, as the UPDATE would leave them, into the one that owns
 * their new key. All in one transaction: who reads a row sees it on the old shard or on the new one, as the commit of
 * several nodes goes.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED, MOVE_LEAVES_CHILDREN, MOVE_TOO_LARGE, MOVE_NOT_EXACT, KEY_MISSING,
 *   KEY_INVALID, KEY_NOT_OWNED, and what a write over shards throws
 */
export async function moveStatement(engine: StatementWriter, write: Write, use: TableUse): Promise<QueryResult> {
  const { analysis, statement, parameters, context } = write
  refuseProblems(analysis)
  const binding = engine.runtime.bindingOf(use.table.entity?.target)
  const local = localisedFor(statement, { analysis, group: use.table.group })
  if (!binding || !analysis.main || !('UpdateStmt' in local)) throw new RangeError('No entity is moved.')
  const update = keyUpdateOf(local.UpdateStmt, use.table, analysis)
  const shards = engine.allowedShards(analysis.main, write, true)
  // Rows that a caller moves are moved in a savepoint of his.
  const run = context.moves ? inTransaction : inSavepoint
  return run(context.access, withoutTransactionEvents(context.openRunner), async (access, transaction) => {
    // In one order everywhere, so that two writes never wait for each other's connections.
    const nodes = [...shards, ...targetsOf(binding, update, parameters)].map(({ node }) => node)
    await transaction.openNodes([...new Set(nodes)].sort())
    const mover = new RowMover(access)
    const rows: TakenRow[] = []
    const columns = new Map<Shard, readonly TableColumn[]>()
    for (const shard of shards) {
      // What is set to its default is left to the default.
      const own = (await mover.columns(shard, use.table.name)).filter(
        ({ name }) => !update.sets.has(name) || update.sets.get(name) !== undefined,
      )
      columns.set(shard, own)
      rows.push(...(await take(mover, { binding, use, update, shard, columns: own, parameters })))
      checkSize(use.table.name, rows.length)
    }
    const withChildren = context.moves?.children ?? false
    const leaving = rows.filter(({ from, to }) => withChildren || from !== to)
    const children = []
    if (withChildren) {
      const tables = groupTables(binding, (target) => engine.runtime.bindingOf(target))
      for (const row of leaving) {
        const root = { table: use.table.name, row, key: row }
        children.push({ row, taken: await takeChildren(mover, row.from, tables, root) })
      }
    }
    // Values are texts of the database here, which no transformer has to make.
    for (const { before, after } of rows) refuseMovedRow(binding, before, after)
    for (const { row, taken } of children) {
      for (const { table, rows: own } of taken) {
        const metadata = binding.metadata.dataSource.entityMetadatas.find(({ tableName }) => tableName === table)
        const child = metadata && engine.runtime.bindingOf(metadata.target)
        if (child && own.length > 0) refuseMovedRow(child, row.before, row.after)
      }
    }
    for (const { row, taken } of children)
      for (const { table, rows: own } of [...taken].reverse()) await mover.remove(row.from, table, own)
    for (const [shard, own] of byShard(leaving, 'from')) await mover.remove(shard, use.table.name, own)
    const results: (readonly Row[])[] = []
    const staying = rows.filter((row) => !leaving.includes(row))
    for (const [shard, own] of byShard(staying, 'from')) {
      const template = updateTemplate(use.table.name, update, parameters.length)
      const values = pick(template.parameters, [...parameters, ...addressesOf(own)])
      results.push(rowsOf(await mover.run(shard, template.text, values)))
    }
    for (const [to, arriving] of byShard(leaving, 'to')) {
      for (const [from, own] of byShard(arriving, 'from')) {
        const options = { rows: own, from, columns: columns.get(from) ?? [], update, parameters }
        results.push(await mover.put(to, use.table.name, options))
      }
    }
    for (const { row, taken } of children) {
      for (const { table, rows: own } of taken) {
        const ownColumns = await mover.columns(row.from, table)
        await mover.put(row.to, table, { rows: own, from: row.from, columns: ownColumns })
      }
    }
    await maintainLookups(access, [...shards, ...rows.map(({ to }) => to)])
    return Object.assign(new QueryResult(), {
      records: results.flat(),
      affected: rows.length,
      raw: [results.flat(), rows.length],
    })
  })
}

interface TakeOptions {
  readonly binding: EntityBinding
  readonly use: TableUse
  readonly update: KeyUpdate
  readonly shard: Shard
  readonly columns: readonly TableColumn[]
  readonly parameters: readonly unknown[]
}

async function take(
  mover: RowMover,
  { binding, use, update, shard, columns, parameters }: TakeOptions,
): Promise<readonly TakenRow[]> {
  const template = takeTemplate(use.table, update, columns)
  const found = await mover.query(shard, template.text, pick(template.parameters, parameters))
  return found.map((row) => {
    const carried = carriedRow(row, columns.length)
    const { keyColumns } = use.table
    const after = keyColumns.map((name) => carried.values[columns.findIndex((one) => one.name === name)] ?? null)
    const key = after.map((value, index) => {
      if (value !== null) return canonicalColumnKey(binding, index, value)
      throw new ShardedError(
        'KEY_MISSING',
        `An UPDATE would set ${keyColumns[index]} of the shard key ${keyText(binding.entity)} to NULL.`,
        {
          details: { entity: binding.entity.name, columns: [keyColumns[index]], operation: 'update' },
          fix: 'A row has a shard key: set a value.',
        },
      )
    })
    const before = keyColumns.map((_, index) => (row[`k${index}`] ?? null) as string | null)
    return { ...carried, from: shard, to: shardOfKey(binding, key), before, after }
  })
}

/** The shards that rows may go to: one where the whole key is set to values that are known, else any. */
function targetsOf(binding: EntityBinding, { sets }: KeyUpdate, parameters: readonly unknown[]): readonly Shard[] {
  const key: string[] = []
  for (const [index, { type }] of binding.entity.keyColumns.entries()) {
    const set = sets.get(binding.keyColumns[index]?.databaseName ?? '')
    const known = set && knownValue(set, { parameter: (number) => parameters[number - 1] })
    const stored = known && valueToStore(known, type)
    if (stored?.value === undefined || stored.value === null) return binding.shards
    key.push(canonicalColumnKey(binding, index, stored.value))
  }
  return [shardOfKey(binding, key)]
}

function byShard(rows: readonly TakenRow[], side: 'from' | 'to'): ReadonlyMap<Shard, TakenRow[]> {
  const lists = new Map<Shard, TakenRow[]>()
  for (const row of rows) pushTo(lists, row[side], row)
  return lists
}
