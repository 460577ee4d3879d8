import type { Node } from '@pgsql/types'
import type { Row } from '../../merging/row'
import {
  type CarriedValue,
  carriedAnswer,
  carriedQuestion,
  valuesOfTime,
  withCarriedValues,
} from '../../planning/carried-values'
import type { Template } from '../../planning/statement-template'
import { type CarriedCalls, carriedCalls, relativeTime } from '../../routing/carried-calls'
import { noFunctions } from '../../routing/known-functions'
import { type ParsedStatement, parseStatement } from '../../sql/parse-statement'
import { loadParser } from '../../sql/parser'
import { parametersOf } from '../../sql/tree'
import type { Shard } from '../../topology/shard'
import type { NodeText } from '../runners/shard-transaction'
import type { ClockDefaults } from './clock-defaults'
import type { StatementPlaces } from './statement-places'
import { type StatementReader, tablesOf } from './statement-reader'
import { askHome, askShard, pick, type Question, type Run, type StatementContext } from './statement-run'

/** A statement, and what of it is asked of one node. */
interface Carrying {
  readonly statement: Node
  readonly carried: CarriedCalls
  readonly parameters: readonly unknown[]
  readonly context: StatementContext
  /** Values of parameters say what is carried: another run of the text may carry something else. */
  readonly isSaid?: boolean
}

/** A statement of one node that has a clock. */
type TimedStatement = Pick<Carrying, 'statement' | 'carried'> & { readonly parameterCount: number }

/** Statements with values in the places of what one database would say once: the time, the user. */
export class CarriedStatements {
  private readonly carriedTexts = new WeakMap<Node, { readonly types: string; readonly template: Template }>()
  private readonly timed = new WeakMap<ParsedStatement, { readonly statement: TimedStatement | undefined }>()

  constructor(
    private readonly reader: StatementReader,
    private readonly places: StatementPlaces,
    private readonly clocks: ClockDefaults,
  ) {}

  /**
   * The statement with values in the places of what one database would say once: the time, the user. They are asked of one
   * node, in a transaction of the one that it opened first. undefined where all of it runs on that node anyway.
   */
  async carrying(run: Run): Promise<Question | undefined> {
    const { statement, analysis, parameterCount, parameters, context } = run
    const isSaid = parameters.some((value) => typeof value === 'string' && relativeTime.test(value))
    const carried = isSaid
      ? carriedCalls(statement, this.reader.functions, { parameters, tables: tablesOf(analysis) })
      : run.carried
    if (!carried || parameterCount !== parameters.length) return undefined
    const { transaction } = context.access
    const place = this.places.onePlace(run)
    const node = transaction?.firstNode ?? place?.shard.node ?? this.places.someShard(analysis)?.node
    if (node === undefined || node === place?.shard.node || (place && !transaction)) return undefined
    return this.carriedFrom(node, { statement, carried, parameters, context, isSaid })
  }

  /**
   * A statement of one node, as TypeORM makes it for a shard or the application for the home node, with the time of a
   * transaction that began on another node. undefined where it says nothing of the time, and on the node that began.
   */
  async withTransactionTime(
    { node, text, parameters }: NodeText,
    context: StatementContext,
  ): Promise<NodeText | undefined> {
    const { transaction } = context.access
    const first = transaction?.firstNode
    if (first === undefined) return undefined
    await loadParser()
    const timed = this.timedStatement(text)
    if (!timed || timed.parameterCount !== parameters.length) return undefined
    if (first !== node) return { node, ...(await this.carriedFrom(first, { ...timed, parameters, context })) }
    // Before its own statement, which the others would wait for.
    transaction?.time().catch(() => undefined)
    return undefined
  }

  private timedStatement(text: string): TimedStatement | undefined {
    const parsed = parseStatement(text)
    const [written, another] = parsed?.statements ?? []
    if (!parsed || !written || another) return undefined
    const known = this.timed.get(parsed)
    if (known) return known.statement
    const statement = this.clocks.written(written)
    const carried = carriedCalls(statement, noFunctions)
    const isTimed = carried?.hasClock === true || statement !== written
    const timed =
      carried && isTimed ? { statement, carried, parameterCount: parametersOf(statement).at(-1) ?? 0 } : undefined
    this.timed.set(parsed, { statement: timed })
    return timed
  }

  private async carriedFrom(
    node: string,
    { statement, carried, parameters, context, isSaid = false }: Carrying,
  ): Promise<Question> {
    const values = await this.carriedValues(node, { carried, parameters, context })
    const types = JSON.stringify(values.map(({ type }) => type))
    const known = this.carriedTexts.get(statement)
    const template =
      !isSaid && known?.types === types
        ? known.template
        : withCarriedValues(statement, carried, { values, first: parameters.length + 1 })
    if (!isSaid) this.carriedTexts.set(statement, { types, template })
    return {
      text: template.text,
      parameters: pick(template.parameters, [...parameters, ...values.map((value) => value.text)]),
    }
  }

  /** A transaction remembers its time; everything else is asked of the node. */
  private async carriedValues(
    node: string,
    { carried, parameters, context }: Pick<Carrying, 'carried' | 'parameters' | 'context'>,
  ): Promise<readonly CarriedValue[]> {
    const { transaction } = context.access
    const ofTime = transaction?.firstNode === node ? valuesOfTime(carried) : undefined
    if (transaction && ofTime) return ofTime(await transaction.time())
    const shard = this.places.shardOn(node)
    const ask = async (question: Template | undefined, on: Shard | undefined): Promise<Row> => {
      if (!question) return {}
      const asked = pick(question.parameters, parameters)
      const rows = on
        ? await askShard(on, { text: question.text, parameters: asked }, context)
        : await askHome(question.text, asked, context)
      return rows[0] ?? {}
    }
    const ofHome = await ask(carriedQuestion(carried, true), undefined)
    return carriedAnswer(carried, { ...ofHome, ...(await ask(carriedQuestion(carried, false), shard)) })
  }
}
