import type { Node } from '@pgsql/types'
import type { DataSource, ObjectLiteral, QueryRunner } from 'typeorm'
import { mayWriteRows } from '../../endpoints/is-read'
import { ShardedError } from '../../errors/sharded-error'
import type { Operation, ScatterLimits } from '../../execution/operation'
import { mainUse } from '../../routing/main-use'
import type { TableUse } from '../../routing/scope'
import { columnNode, operatorNode } from '../../sql/nodes'
import { printStatement } from '../../sql/print-statement'
import { withConditions } from '../../sql/statement-parts'
import type { Shard } from '../../topology/shard'
import { preparedKey } from '../binding/entity-binding'
import { keyValues } from '../find/with-key'
import { refuseSessionOf } from '../runners/refuse-session'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ReadStatement } from '../statements/statement-run'
import type { Statements } from '../statements/statements'
import { ownRunner } from './builder-narrowing'
import type { Hint } from './hint'
import { hintedShard, shardOfHint } from './operation-context'
import type { ShardedQueryRunner } from './sharded-query-runner'

/** The runner is its owner's, or released when all is done. */
const borrowed = { borrowed: true }

/** Raw SQL as a caller gives it, and what a manager narrows it to. */
export interface NarrowedQuery {
  readonly dataSource: DataSource & { readonly statements: Statements }
  readonly queryRunner: QueryRunner | undefined
  readonly limits: ScatterLimits | undefined
  /** Counts those from the call. */
  readonly operation: Operation
  readonly query: string
  readonly parameters: unknown[] | ObjectLiteral | undefined
}

/**
 * The answers of raw SQL, once for each hint, all within the same limits; writes of several hints happen all or not. A text
 * that names no sharded table goes to the shard of `onShard` as it is.
 *
 * @throws ShardedError NOT_SHARDED, SHARD_UNKNOWN, KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, and what a query throws
 */
export async function narrowedQuery(
  given: NarrowedQuery,
  hints: readonly (Hint | undefined)[],
): Promise<readonly unknown[]> {
  const { dataSource, queryRunner, limits } = given
  const runner = ownRunner(queryRunner ?? dataSource.createQueryRunner())
  const isAtomic = hints.length > 1 && !runner.isInTransaction && mayWriteRows(given.query)
  try {
    if (isAtomic) await runner.startTransaction()
    const within = runner.narrowed({ limits }, borrowed)
    const results: unknown[] = []
    for (const hint of hints) results.push(await hintedQuery(given, within, hint))
    if (isAtomic) await runner.commitTransaction()
    return results
  } catch (error) {
    // What went wrong first is what the caller has to hear of.
    if (isAtomic && runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined)
    throw error
  } finally {
    if (!queryRunner) await runner.release()
  }
}

async function hintedQuery(
  { dataSource, operation, query, parameters }: NarrowedQuery,
  runner: ShardedQueryRunner,
  hint: Hint | undefined,
): Promise<unknown> {
  const isNamed = parameters !== undefined && !Array.isArray(parameters)
  if (!hint || hint.kind === 'across' || isNamed)
    return dataSource.query(query, parameters, runner.narrowed({ isExplicit: hint?.kind === 'across' }, borrowed))
  const { statements } = dataSource
  const read = await statements.understand(query)
  if (read && read.analysis.uses.length > 0) {
    const {
      text,
      parameters: values,
      pinned,
    } = hintStatement(statements.runtime, hint, { read, parameters: parameters ?? [] })
    return dataSource.query(text, [...values], runner.narrowed({ pinned }, borrowed))
  }
  if (hint.kind === 'shard') {
    await refuseSessionOf(query, parameters)
    return runner.access(operation).onShard(hint.shard, (manager) => manager.query(query, parameters))
  }
  throw new ShardedError('NOT_SHARDED', 'withShardKey needs a sharded table, and the statement names none.', {
    details: { statement: query.slice(0, 500) },
  })
}

/** Raw SQL that a hint has narrowed. */
interface HintedStatement {
  readonly text: string
  readonly parameters: readonly unknown[]
  /** The shard that the tables of its group are read and written on. */
  readonly pinned: Shard
}

/**
 * Raw SQL on the shard that a hint names; `withShardKey` also adds `key = value` to the table that the statement is
 * about, as it does for finds and query builders.
 *
 * @throws ShardedError SHARD_UNKNOWN, KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, STATEMENT_UNSUPPORTED
 */
function hintStatement(
  runtime: ShardRuntime,
  hint: Exclude<Hint, { kind: 'across' }>,
  { read, parameters }: { readonly read: ReadStatement; readonly parameters: readonly unknown[] },
): HintedStatement {
  const { analysis, parsed, statement } = read
  if (hint.kind === 'shard') {
    const isNamed = analysis.uses.some(({ table }) => table.group === hint.shard.group)
    const [entity] = analysis.uses.flatMap(({ table }) => table.entity ?? [])
    const binding = entity && runtime.bindingOf(entity.target)
    const pinned = binding && !isNamed ? hintedShard(binding, hint.shard) : hint.shard
    return { text: parsed.text, parameters, pinned }
  }
  const use = mainUse(statement, analysis)
  const binding = use?.table.entity && runtime.bindingOf(use.table.entity.target)
  if (!use || !binding)
    throw new ShardedError(
      'STATEMENT_UNSUPPORTED',
      'withShardKey adds a shard key to a table of the outermost FROM clause, and this statement has none there.',
      { details: { statement: parsed.text.slice(0, 500) } },
    )
  const pinned = shardOfHint(binding, hint.value)
  // Without a condition to add to, or with too few parameters, which is PostgreSQL's to tell, the text stays as it is.
  if ('InsertStmt' in statement || read.parameterCount !== parameters.length)
    return { text: parsed.text, parameters, pinned }
  const { text } = printStatement(withConditions(statement, keyConditions(use, parameters.length)))
  return { text, parameters: [...parameters, ...preparedKey(binding, keyValues(binding, hint.value))], pinned }
}

const keyConditions = ({ table, rangeVar }: TableUse, given: number): readonly Node[] =>
  table.keyColumns.map((name, index) =>
    operatorNode('=', columnNode(rangeVar.alias?.aliasname ?? rangeVar.relname ?? table.name, name), {
      ParamRef: { number: given + index + 1 },
    }),
  )
