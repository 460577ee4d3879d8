import type { Node, SelectStmt } from '@pgsql/types'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { unsupported } from '../../errors/sharded-error'
import { asText } from '../../planning/carried-values'
import { expandedTargets } from '../../planning/rows-template'
import { isBlankPadded, type ShippedRows, withShippedRows } from '../../planning/shipped-rows'
import { templateOf } from '../../planning/statement-template'
import type { ValueType } from '../../query/sort-form'
import { stepsProblem, type WriteStep, type WriteSteps, writeStepsOf } from '../../routing/write-steps'
import { usedCtes } from '../../sql/ctes'
import { functionNode, integerConstant, selectNode, targetNode } from '../../sql/nodes'
import { parseStatement } from '../../sql/parse-statement'
import { selectOf } from '../../sql/statement-parts'
import { allOf, fieldsOf, isTreeObject, replaceNodes, type TreeObject } from '../../sql/tree'
import { inSavepoint } from '../runners/in-transaction'
import { deferred } from '../writes/deferred-transaction'
import type { StatementWriter } from './planned-write'
import { homeWithin, pick, type Question, type Run, refusalOf, rowsOf } from './statement-run'

/** The steps of a statement over shards whose WITH writes; undefined for every other. @throws ShardedError STATEMENT_UNSUPPORTED */
export function provenSteps(engine: StatementWriter, run: Run): WriteSteps | undefined {
  const steps = run.writes ? writeStepsOf(run.statement) : undefined
  if (!steps) return undefined
  const problem = stepsProblem(steps, engine.reader)
  if (problem) throw refusalOf(problem, run.analysis)
  return steps
}

/** What was returned by the steps that have run, as queries of a WITH. */
interface Progress {
  readonly ctes: Node[]
  /** The statement's parameters, and behind them the arrays of what was returned. */
  readonly values: unknown[]
}

/**
 * Runs a statement whose WITH writes: its parts one after the other in one transaction, each as a statement of its own over the rows
 * that the parts before it returned.
 *
 * @throws what each part throws; nothing of the statement has then happened
 */
export function runWriteSteps(engine: StatementWriter, run: Run, whole: WriteSteps): Promise<QueryResult> {
  const { access, openRunner } = run.context
  return inSavepoint(access, deferred(openRunner), async (inner, transaction) => {
    const home = access.transaction ? run.context.home : homeWithin(transaction)
    const own: Run = { ...run, context: { ...run.context, access: inner, home } }
    const progress: Progress = { ctes: [], values: [...run.parameters] }
    for (const step of whole.steps) await runStep(engine, own, { step, whole, progress })
    return sent(engine, own, { statement: withProgress(whole.last, whole, progress), values: progress.values })
  })
}

/** The first part of a statement that runs in steps, which is all that is known of them before they run. */
export function firstStep(whole: WriteSteps, parameters: readonly unknown[]): Question {
  const [step] = whole.steps
  const { text, parameters: numbers } = templateOf(
    withProgress(step?.statement ?? whole.last, whole, { ctes: [], values: [] }),
  )
  return { text, parameters: pick(numbers, parameters) }
}

interface Part {
  readonly statement: Node
  readonly values: readonly unknown[]
}

/** Runs a part as a statement of its own. */
async function sent(engine: StatementWriter, { context }: Run, { statement, values }: Part): Promise<QueryResult> {
  const { text, parameters: numbers } = templateOf(statement)
  const parameters = pick(numbers, values)
  return (await engine.run(text, parameters, context)) ?? context.home(text, parameters)
}

interface StepRun {
  readonly step: WriteStep
  readonly whole: WriteSteps
  readonly progress: Progress
}

async function runStep(engine: StatementWriter, run: Run, { step, whole, progress }: StepRun): Promise<void> {
  const statement = withProgress(step.statement, whole, progress)
  const returned = returnedBy(statement)
  const { values } = progress
  if (!returned) {
    await sent(engine, run, { statement, values })
    return
  }
  const read = await engine.reader.analysed({ SelectStmt: returned })
  const targets = allOf(expandedTargets(selectOf(read.statement), read.analysis.scope), 'ResTarget')
  const { columns } = await engine.texts({ ...returned, ...none }, { ...run, parameters: values })
  for (const { name, type } of columns)
    if (type.kind === 'enum' || type.kind === 'composite')
      throw unsupported(`${step.name} returns ${name} of a type that each shard defines for itself. Cast it to text.`, {
        column: name,
      })
  const asked = withReturned(
    statement,
    targets.flatMap(({ val }, index) => (val ? [targetNode(textOf(val, columns[index]?.type), `c${index}`)] : [])),
  )
  const rows = rowsOf(await sent(engine, run, { statement: asked, values }))
  const named = columns.map((column, index) => ({ ...column, name: step.columns[index] ?? column.name }))
  progress.ctes.push(cteOf({ cte: step.name, columns: named, firstParameter: values.length + 1 }))
  for (const index of columns.keys()) values.push(rows.map((row) => row[`c${index}`]))
}

const none = { limitCount: integerConstant(0), limitOption: 'LIMIT_OPTION_COUNT' } as const

/** A cast of `character` would lose its blanks. */
const textOf = (value: Node, type: ValueType | undefined): Node =>
  asText(isBlankPadded(type) ? functionNode('bpcharout', value) : value)

/** What a statement returns, as a query over its tables: for the names and types of it. */
function returnedBy(statement: Node): SelectStmt | undefined {
  const { InsertStmt: insertion, UpdateStmt: update, DeleteStmt: deletion }: TreeObject = statement
  const write = insertion ?? update ?? deletion
  const { exprs = [], options = [] } = write?.returningClause ?? {}
  if (!write?.relation || exprs.length === 0) return undefined
  if (options.length > 0) throw unsupported('WITH (OLD AS …) in RETURNING stands in a data-modifying WITH over shards.')
  const { withClause } = write
  return selectNode({
    targetList: exprs,
    fromClause: [{ RangeVar: write.relation }, ...(update?.fromClause ?? deletion?.usingClause ?? [])],
    ...(withClause && { withClause }),
  })
}

/** A statement that returns something else. */
const withReturned = (statement: Node, exprs: Node[]): Node =>
  withFields(statement, ({ returningClause }) => ({
    returningClause: { ...(isTreeObject(returningClause) && returningClause), exprs },
  }))

/** A part of the statement with the queries of its WITH that it names, and with what the parts before it returned. */
function withProgress(part: Node, { queries, isRecursive }: WriteSteps, { ctes }: Progress): Node {
  const all = [...ctes, ...queries]
  const used = usedCtes(all, part)
  const outer = all.filter((cte) => used.has(cte))
  if (outer.length === 0) return part
  return withFields(part, ({ withClause }) => {
    const own = isTreeObject(withClause) && Array.isArray(withClause['ctes']) ? withClause['ctes'] : []
    const isOwnRecursive = isTreeObject(withClause) && withClause['recursive'] === true
    return { withClause: { ctes: [...outer, ...own], ...((isRecursive || isOwnRecursive) && { recursive: true }) } }
  })
}

/** The statement with other fields: the wrapper stays what it is. */
const withFields = (statement: Node, more: (fields: TreeObject) => object): Node => {
  const fields: unknown = Object.values(statement)[0]
  return replaceNodes(statement, (object) => (object === fields ? { ...object, ...more(object) } : undefined))
}

/** Shipped rows as a query of a WITH. */
function cteOf(rows: ShippedRows): Node {
  const { text } = withShippedRows({ text: 'SELECT 1', parameters: [] }, [rows])
  const [statement] = parseStatement(text)?.statements ?? []
  const cte = fieldsOf(statement, 'SelectStmt')?.withClause?.ctes?.[0]
  if (!cte) throw new RangeError(`This is no query: ${text}`)
  return replaceNodes(cte, ({ ParamRef: parameter }) =>
    parameter ? { ParamRef: { number: (parameter.number ?? 0) + rows.firstParameter - 1 } } : undefined,
  )
}
