import type { Node } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import { mainUse } from '../../routing/main-use'
import type { TableUse } from '../../routing/scope'
import { columnNode, operatorNode } from '../../sql/nodes'
import { printStatement } from '../../sql/print-statement'
import { withConditions } from '../../sql/with-conditions'
import type { Shard } from '../../topology/shard'
import { preparedKey } from '../binding/entity-binding'
import { keyValues } from '../find/with-key'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ReadStatement } from '../statements/statement-run'
import type { Hint } from './hint'
import { hintedShard, shardOfHint } from './operation-context'

/** Raw SQL that a hint has narrowed. */
export interface HintedStatement {
  readonly text: string
  readonly parameters: readonly unknown[]
  /** The shard that the tables of its group are read and written on. */
  readonly pinned: Shard
}

interface Given {
  readonly read: ReadStatement
  readonly parameters: readonly unknown[]
}

/**
 * Raw SQL on the shard that a hint names; `withShardKey` also adds `key = value` to the table that the statement is
 * about, as it does for finds and query builders.
 *
 * @throws ShardedError SHARD_UNKNOWN, KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, STATEMENT_UNSUPPORTED
 */
export function hintStatement(
  runtime: ShardRuntime,
  hint: Exclude<Hint, { kind: 'across' }>,
  { read, parameters }: Given,
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
