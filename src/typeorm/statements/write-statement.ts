import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { withShippedRows } from '../../planning/shipped-rows'
import { splitLists } from '../../planning/split-lists'
import { templateOf } from '../../planning/statement-template'
import type { WritePlan } from '../../planning/write-plan'
import type { StatementWrite } from '../../query/write-query'
import { inTransaction } from '../runners/in-transaction'
import { deferred } from '../writes/deferred-transaction'
import { executeStatement } from '../writes/execute-statement'
import { planWriteOf } from '../writes/write-shards'
import { broadcastWrite } from './broadcast'
import { planInsert, queryReadFirst } from './insert-statement'
import { armsOn, homeStatement, type PlannedWrite, type StatementWriter } from './planned-write'
import { homeWithin, localisedFor, type Place, type Run, wholeText } from './statement-run'

/**
 * Runs an INSERT, UPDATE or DELETE on its shards: on several in one transaction a node, all committed only after all have
 * succeeded. Affected rows are summed, RETURNING rows follow each other; those of an INSERT in the order of its VALUES.
 *
 * @throws ShardedError KEY_MISSING, KEY_CHANGED, KEY_NOT_OWNED, JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED, PARTIAL_COMMIT
 */
export async function writeStatement(engine: StatementWriter, write: Run): Promise<QueryResult> {
  const { context } = write
  if (queryReadFirst(write) && !context.access.transaction)
    // What it reads is then what it writes.
    return inTransaction(context.access, deferred(context.openRunner), (access, transaction) =>
      writeStatement(engine, { ...write, context: { ...context, access, home: homeWithin(transaction) } }),
    )
  const planned = await planStatement(engine, write)
  return planned.kind === 'home'
    ? write.context.home(planned.text, planned.parameters)
    : executeStatement(planned, write.context)
}

/** Plans a statement that writes. What it asks of other shards (subqueries, rows that it refers to) is read for the plan. */
export async function planStatement(engine: StatementWriter, given: Run): Promise<PlannedWrite> {
  const { parsed, statement, context } = given
  if ('InsertStmt' in statement) return planInsert(engine, given, statement.InsertStmt)
  const write = await broadcastWrite(given, engine)
  const { analysis } = write
  const substitutes = await engine.substitute(write)
  if (!analysis.main) return homeStatement(engine, write, substitutes)
  const shards = engine.places.allowedShards(analysis.main, write, true)
  const { values, valuesOn, replacements, split } = splitLists(analysis.main, { ...write, ...substitutes })
  const mainGroup = [...analysis.main.uses][0]?.table.group
  const { shipped } = substitutes
  const make = () =>
    withShippedRows(templateOf(localisedFor(statement, { analysis, group: mainGroup }, replacements)), shipped)
  const dependsOn = [mainGroup, split, engine.reader.version]
  const template = shipped.length > 0 ? make() : engine.templates.remembered(parsed, dependsOn, make)
  const hasOwnTypes = analysis.uses.some(({ table }) => table.hasOwnTypes)
  const query: StatementWrite = {
    kind: 'statement',
    arms: armsOn(shards, template, valuesOn ?? (() => values)),
    united: { hasOwnTypes },
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
