import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { pushAll } from '../../collections/push-all'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import { executeWrite } from '../../execution/execute-write'
import type { Row } from '../../merging/row'
import { type TableColumn, takeTemplate, updateTemplate } from '../../planning/carried-rows'
import { type KeyUpdate, keyUpdateOf } from '../../planning/key-update'
import { type MovePlan, planMove, type WritePlan } from '../../planning/write-plan'
import { knownValue } from '../../routing/known-value'
import { keyText } from '../../routing/route'
import type { TableUse } from '../../routing/scope'
import type { ShardedTable } from '../../routing/table-catalog'
import type { Shard } from '../../topology/shard'
import { valueToStore } from '../../values/stored-key'
import { groupTables } from '../binding/child-links'
import { canonicalColumnKey, type EntityBinding } from '../binding/entity-binding'
import { refuseMovedRow } from '../binding/entity-ids'
import { shardOfKey } from '../binding/entity-shards'
import { isKeySource } from '../binding/hidden-key-source'
import { maintainLookups } from '../lookups/maintain-lookups'
import type { ShardAccess } from '../runners/shard-access'
import { ShardWriteHost } from '../writes/shard-write-host'
import type { StatementWriter } from './planned-write'
import { addressesOf, carriedRow, checkSize, type MovingRow, RowMover, textAt } from './row-mover'
import { localisedFor, pick, type Run, refuseProblems, rowsOf } from './statement-run'
import { type TakenTable, takeChildren } from './take-children'

/** A row of an UPDATE, locked on its shard: what it will be, and where. */
interface TakenRow extends MovingRow {
  readonly from: Shard
  readonly to: Shard
  readonly before: readonly (string | null)[]
  readonly after: readonly (string | null)[]
}

/** What refers to a row that leaves its shard, and goes with it. */
interface TakenChildren {
  readonly row: TakenRow
  readonly taken: readonly TakenTable[]
}

const hasAnotherKey = ({ before, after }: TakenRow): boolean => after.some((part, index) => part !== before[index])

/** An UPDATE that sets the shard key, lowered. */
export interface StatementMove {
  readonly plan: WritePlan
  readonly binding: EntityBinding
  readonly table: ShardedTable
  readonly update: KeyUpdate
  readonly parameters: readonly unknown[]
}

/**
 * Lowers an UPDATE that sets the shard key.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED, JOIN_NOT_LOCAL, SCATTER_FORBIDDEN, SCATTER_TOO_WIDE
 */
export function planStatementMove(engine: StatementWriter, write: Run, { table }: TableUse): StatementMove {
  const { analysis, statement, parameters, context } = write
  refuseProblems(analysis)
  const binding = engine.runtime.bindingOf(table.entity?.target)
  const local = localisedFor(statement, { analysis, group: table.group })
  if (!binding || !analysis.main || !('UpdateStmt' in local)) throw new RangeError('No entity is moved.')
  const update = keyUpdateOf(local.UpdateStmt, table, analysis)
  const shards = engine.places.allowedShards(analysis.main, write, true)
  const targets = targetsOf(binding, update, parameters)
  const withChildren = context.moves?.children ?? false
  // Rows that a caller moves are moved in a savepoint of the caller's.
  const scope = context.moves ? 'transaction' : 'savepoint'
  const plan = planMove({ kind: 'move', table: table.name, shards, targets, withChildren }, scope)
  return { plan, binding, table, update, parameters }
}

/**
 * Runs an UPDATE that sets the shard key: see `MovePlan`.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED, MOVE_LEAVES_CHILDREN, MOVE_TOO_LARGE, MOVE_NOT_EXACT, KEY_MISSING,
 *   KEY_INVALID, KEY_NOT_OWNED, and what a write over shards throws
 */
export async function moveStatement(engine: StatementWriter, write: Run, use: TableUse): Promise<QueryResult> {
  const move = planStatementMove(engine, write, use)
  const host = new ShardWriteHost<QueryResult>(write.context.access, {
    openRunner: write.context.openRunner,
    move: async (access, plan) => [await new RowsMove(access, move).run(plan)],
  })
  const [result = new QueryResult()] = await executeWrite(move.plan, host)
  return result
}

/** One run of a move, in its transaction. */
class RowsMove {
  private readonly mover: RowMover
  /** The columns of the table that the rows of a shard are taken with. */
  private readonly columns = new Map<Shard, readonly TableColumn[]>()

  constructor(
    private readonly access: ShardAccess,
    private readonly move: StatementMove,
  ) {
    this.mover = new RowMover(access)
  }

  async run({ shards, withChildren }: MovePlan): Promise<QueryResult> {
    const { access, move, mover } = this
    const { name } = move.table
    const rows: TakenRow[] = []
    for (const shard of shards) {
      pushAll(rows, await this.take(shard))
      checkSize(name, rows.length)
    }
    const isSource = isKeySource(move.binding.metadata)
    // Rows that repeat the key would keep the old one: a row with another key leaves, and comes back, as one of another shard does.
    const leaving = rows.filter((row) => withChildren || row.from !== row.to || (isSource && hasAnotherKey(row)))
    const children = withChildren ? await this.takeChildren(leaving) : []
    this.refuseMovedIds(rows, children)
    for (const { row, taken } of children)
      for (const { table, rows: own } of [...taken].reverse()) await mover.remove(row.from, table, own)
    for (const [shard, own] of byShard(leaving, 'from')) await mover.remove(shard, name, own)
    const staying = rows.filter((row) => !leaving.includes(row))
    const records = [...(await this.updateStaying(staying)), ...(await this.put(leaving))]
    for (const { row, taken } of children) {
      for (const { table, rows: own } of taken) {
        const columns = await mover.columns(row.from, table)
        await mover.put(row.to, table, { rows: own, from: row.from, columns })
      }
    }
    await maintainLookups(access, [...shards, ...rows.map(({ to }) => to)])
    return Object.assign(new QueryResult(), { records, affected: rows.length, raw: [records, rows.length] })
  }

  /** Reads and locks the rows of one shard. */
  private async take(shard: Shard): Promise<readonly TakenRow[]> {
    const { mover } = this
    const { table, update, parameters } = this.move
    // What is set to its default is left to the default.
    const columns = (await mover.columns(shard, table.name)).filter(
      ({ name }) => !update.sets.has(name) || update.sets.get(name) !== undefined,
    )
    this.columns.set(shard, columns)
    const template = takeTemplate(table, update, columns)
    const found = await mover.query(shard, template.text, pick(template.parameters, parameters))
    return found.map((row) => {
      const carried = carriedRow(row, columns.length)
      const after = table.keyColumns.map((key) => carried.values[columns.findIndex(({ name }) => name === key)] ?? null)
      const before = table.keyColumns.map((_, index) => textAt(row, `k${index}`))
      return { ...carried, from: shard, to: this.targetOf(after), before, after }
    })
  }

  /** @throws ShardedError KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED */
  private targetOf(after: readonly (string | null)[]): Shard {
    const { binding, table } = this.move
    const key = after.map((value, index) => {
      if (value !== null) return canonicalColumnKey(binding, index, value)
      const column = table.keyColumns[index]
      throw new ShardedError(
        'KEY_MISSING',
        `An UPDATE would set ${column} of the shard key ${keyText(binding.entity)} to NULL.`,
        {
          details: { entity: binding.entity.name, columns: [column], operation: 'update' },
          fix: 'A row has a shard key: set a value.',
        },
      )
    })
    return shardOfKey(binding, key)
  }

  private async takeChildren(leaving: readonly TakenRow[]): Promise<readonly TakenChildren[]> {
    const { binding, table } = this.move
    const tables = groupTables(binding, (target) => this.access.runtime.bindingOf(target))
    const children: TakenChildren[] = []
    for (const row of leaving)
      children.push({
        row,
        taken: await takeChildren(this.mover, tables, { table: table.name, row, key: row }),
      })
    return children
  }

  /** Values are texts of the database here, which no transformer has to make. @throws ShardedError ID_CHANGED */
  private refuseMovedIds(rows: readonly TakenRow[], children: readonly TakenChildren[]): void {
    const { binding } = this.move
    for (const { before, after } of rows) refuseMovedRow(binding, before, after)
    for (const { row, taken } of children) {
      for (const { table, rows: own } of taken) {
        const metadata = binding.metadata.dataSource.entityMetadatas.find(({ tableName }) => tableName === table)
        const child = metadata && this.access.runtime.bindingOf(metadata.target)
        if (child && own.length > 0) refuseMovedRow(child, row.before, row.after)
      }
    }
  }

  /** @returns what the UPDATE returns */
  private async updateStaying(rows: readonly TakenRow[]): Promise<readonly Row[]> {
    const { table, update, parameters } = this.move
    const returned: Row[] = []
    for (const [shard, own] of byShard(rows, 'from')) {
      const template = updateTemplate(table.name, update, parameters.length)
      const values = pick(template.parameters, [...parameters, ...addressesOf(own)])
      pushAll(returned, rowsOf(await this.mover.run(shard, template.text, values)))
    }
    return returned
  }

  /** Puts rows where they go. @returns what the UPDATE returns */
  private async put(leaving: readonly TakenRow[]): Promise<readonly Row[]> {
    const { table, update, parameters } = this.move
    const returned: Row[] = []
    for (const [to, arriving] of byShard(leaving, 'to')) {
      for (const [from, rows] of byShard(arriving, 'from')) {
        const options = { rows, from, columns: this.columns.get(from) ?? [], update, parameters }
        pushAll(returned, await this.mover.put(to, table.name, options))
      }
    }
    return returned
  }
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
