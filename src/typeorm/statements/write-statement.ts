import type { EntityManager } from 'typeorm'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { executeWrite } from '../../execution/execute-write'
import { takePlace } from '../../planning/row-places'
import { withShippedRows } from '../../planning/shipped-rows'
import { splitLists } from '../../planning/split-lists'
import { templateOf } from '../../planning/statement-template'
import type { WriteParts, WritePlan } from '../../planning/write-plan'
import type { StatementWrite, WriteAnswer } from '../../query/write-query'
import type { ShardWrite } from '../writes/run-parts'
import { ShardWriteHost } from '../writes/shard-write-host'
import { planWriteOf, type WriteContext } from '../writes/write-shards'
import { planInsert } from './insert-statement'
import { armsOn, homeStatement, type PlannedWrite, type ShardsWrite, type StatementWriter } from './planned-write'
import { localisedFor, type Place, queryOn, type Run, refuseProblems, rowsOf, wholeText } from './statement-run'

/**
 * Runs an INSERT, UPDATE or DELETE on its shards: on several in one transaction a node, all committed only after all have
 * succeeded. Affected rows are summed, RETURNING rows follow each other; those of an INSERT in the order of its VALUES.
 *
 * @throws ShardedError KEY_MISSING, KEY_CHANGED, KEY_NOT_OWNED, JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED, PARTIAL_COMMIT
 */
export async function writeStatement(engine: StatementWriter, write: Run): Promise<QueryResult> {
  const planned = await planStatement(engine, write)
  return planned.kind === 'home'
    ? write.context.home(planned.text, planned.parameters)
    : executeStatement(planned, write.context)
}

/** Runs the plan of a statement. */
export async function executeStatement(
  { plan, order }: Omit<ShardsWrite, 'kind'>,
  context: WriteContext,
): Promise<QueryResult> {
  const host = new ShardWriteHost(context.access, {
    openRunner: context.openRunner,
    order,
    worksOf,
    unite: (parts, results) => (parts.by === 'typeorm' ? results : [uniteAnswers(parts.answer, results)]),
  })
  const [result = uniteAnswers({ kind: 'update' }, [])] = await executeWrite(plan, host)
  return result
}

/** By TypeORM's query runners, which log statements and make errors of them. */
const worksOf = (parts: WriteParts): readonly ShardWrite<QueryResult>[] =>
  parts.by === 'typeorm'
    ? []
    : parts.arms.map(({ shard, text, parameters }) => ({
        shard,
        work: (manager: EntityManager) => queryOn(manager, text, parameters),
      }))

/** Plans a statement that writes. What it asks of other shards (subqueries, rows that it refers to) is read for the plan. */
export async function planStatement(engine: StatementWriter, write: Run): Promise<PlannedWrite> {
  const { statement, analysis, context } = write
  if ('InsertStmt' in statement) return planInsert(engine, write, statement.InsertStmt)
  refuseProblems(analysis)
  const substitutes = await engine.substitute(write)
  if (!analysis.main) return homeStatement(write, substitutes)
  const shards = engine.places.allowedShards(analysis.main, write, true)
  const { values, valuesOn, replacements } = splitLists(analysis.main, { ...write, ...substitutes })
  const mainGroup = [...analysis.main.uses][0]?.table.group
  const local = localisedFor(statement, { analysis, group: mainGroup }, replacements)
  const template = withShippedRows(templateOf(local), substitutes.shipped)
  const hasOwnTypes = analysis.uses.some(({ table }) => table.hasOwnTypes)
  const query: StatementWrite = {
    kind: 'statement',
    arms: armsOn(shards, template, valuesOn ?? (() => values)),
    united: { isAlike: !valuesOn, hasOwnTypes },
    alsoWritten: [],
    order: undefined,
    answer: { kind: 'update' },
  }
  return { kind: 'shards', plan: await planWriteOf(context.access, query), order: undefined }
}

/** The plan of a statement all of which lies in one place: it goes there as it is. */
export function planAtPlace(place: Place, run: Run): Promise<WritePlan> {
  const { shard, shards } = place
  return planWriteOf(run.context.access, {
    kind: 'statement',
    arms: [{ shard, text: wholeText(run, place), parameters: run.parameters }],
    united: undefined,
    alsoWritten: [...shards.values()].filter((one) => one !== shard),
    order: undefined,
    answer: { kind: 'own' },
  })
}

/** The answers of shards as that of one statement. */
export function uniteAnswers(answer: WriteAnswer, results: readonly QueryResult[]): QueryResult {
  const [own] = results
  if (answer.kind === 'own' && own) return own
  const result = new QueryResult()
  result.records = rowsInOrder(answer, results)
  result.affected = results.reduce((sum, { affected }) => sum + (affected ?? 0), 0)
  result.raw = answer.kind === 'update' ? [result.records, result.affected] : result.records
  return result
}

function rowsInOrder(answer: WriteAnswer, results: readonly QueryResult[]): unknown[] {
  const rows = results.flatMap(rowsOf)
  if (answer.kind === 'told-places')
    return rows
      .map((row) => takePlace(row, answer.column))
      .sort((a, b) => a.place - b.place)
      .map(({ row }) => row)
  if (answer.kind !== 'values') return rows
  const places = answer.places.flat()
  const isWhole = results.every((result, index) => rowsOf(result).length === answer.places[index]?.length)
  if (!isWhole) return rows
  const ordered: unknown[] = []
  for (const [index, row] of rows.entries()) ordered[places[index] ?? index] = row
  // The place of a row that conflicts with one of another shard is empty: it was sent to none.
  return ordered.filter(() => true)
}
