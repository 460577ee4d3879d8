import type { SelectStmt } from '@pgsql/types'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { unsupported } from '../../errors/sharded-error'
import { bindShardNames, groupsOfTypes, placeholderSchema } from '../../planning/bind-shard-names'
import { type Answer, withShippedRows } from '../../planning/shipped-rows'
import { type Template, templateOf } from '../../planning/statement-template'
import type { StatementWrite } from '../../query/write-query'
import { targetTable } from '../../sql/statement-parts'
import type { Shard } from '../../topology/shard'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { PlannedStatement } from '../writes/execute-statement'
import type { StatementPlaces } from './statement-places'
import type { StatementReader } from './statement-reader'
import { localisedFor, pick, type Run, type StatementContext, type Substitutes } from './statement-run'
import type { TextPlans } from './text-plans'

/** What the writing of a statement asks of the engine. */
export interface StatementWriter {
  readonly runtime: ShardRuntime
  readonly places: StatementPlaces
  readonly reader: StatementReader
  /** What the shards of UPDATE and DELETE are sent. */
  readonly templates: TextPlans<Template>
  substitute(run: Run): Promise<Substitutes>
  /** Runs a statement; undefined where it is the home node's. */
  run(text: string, parameters: readonly unknown[], context: StatementContext): Promise<QueryResult | undefined>
  /** Runs a query of a statement for its rows as texts. */
  texts(select: SelectStmt, run: Run): Promise<Answer>
}

/** How a statement that writes is done. */
export type PlannedWrite =
  /** It writes an unsharded table, with the rows of shards that were read for it. */
  ({ readonly kind: 'home' } & HomeStatement) | ShardsWrite

export interface ShardsWrite extends PlannedStatement {
  readonly kind: 'shards'
}

interface HomeStatement {
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** One template on each of some shards. */
export const armsOn = (
  shards: readonly Shard[],
  { text, parameters }: Template,
  valuesOn: (shard: Shard) => readonly unknown[],
): StatementWrite['arms'] => shards.map((shard) => ({ shard, text, parameters: pick(parameters, valuesOn(shard)) }))

/** The statement of a write of an unsharded table. @throws ShardedError STATEMENT_UNSUPPORTED */
export function homeStatement(
  { places }: Pick<StatementWriter, 'places'>,
  { statement, analysis }: Run,
  { shipped, values, replacements }: Substitutes,
): PlannedWrite {
  const local = localisedFor(statement, { analysis, group: undefined }, replacements)
  const { text: unbound, parameters } = withShippedRows(templateOf(local), shipped)
  const target = targetTable(statement)
  const groups = groupsOfTypes(unbound)
  const shard = groups.size > 0 ? places.typesFor(groups, target !== undefined) : undefined
  const text = shard ? bindShardNames(unbound, shard) : unbound
  if (!text.includes(`"${placeholderSchema}"`)) return { kind: 'home', text, parameters: pick(parameters, values) }
  const table = target?.relname ?? ''
  throw unsupported(`A write of ${table} would need tables of a shard on the home node.`, { table })
}
