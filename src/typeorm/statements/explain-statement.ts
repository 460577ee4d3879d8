import type { RangeVar, SelectStmt } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import { bindShardNames } from '../../planning/bind-shard-names'
import { detachedSelect } from '../../planning/detached-parts'
import {
  copyStep,
  type Explanation,
  explain,
  explainGather,
  explainPlan,
  explainSource,
  explainWrite,
  writtenShards,
} from '../../planning/explain-plan'
import type { GatherPlan } from '../../planning/gather-plan'
import { type ReadPlan, route } from '../../planning/read-plan'
import { setSides } from '../../planning/set-sides'
import { templateOf } from '../../planning/statement-template'
import type { WritePlan } from '../../planning/write-plan'
import type { Cluster } from '../../routing/analysis/findings'
import { routeCluster } from '../../routing/route-cluster'
import type { TableUse } from '../../routing/scope'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import type { WriteSteps } from '../../routing/write-steps'
import { selectOf, targetTable } from '../../sql/statement-parts'
import { broadcastWrite } from './broadcast'
import { insertAsSent } from './insert-at-home'
import { queryReadFirst } from './insert-statement'
import { planStatementMove } from './move-statement'
import type { PlannedInputs } from './plan-inputs'
import type { StatementWriter } from './planned-write'
import { firstStep, provenSteps } from './run-write-steps'
import {
  type Place,
  pick,
  problemOf,
  type QueryRun,
  type Question,
  type Run,
  type ShardsRun,
  type StatementContext,
  sentTables,
  wholeText,
} from './statement-run'
import { TextPlans } from './text-plans'
import { planAtPlace, planStatement } from './write-statement'

/** What the explanation of a statement asks of the engine. */
export interface StatementPlanner extends StatementWriter {
  resolve(asked: Asked): Promise<Resolved>
  /** @throws ShardedError what running a statement in its place refuses */
  checkPlace(place: Place, run: Run): void
  planned(
    run: QueryRun,
  ): Promise<
    | { readonly plan: ReadPlan; readonly onShards: ShardsRun }
    | { readonly plan: undefined; readonly gather?: GatherPlan; readonly broadcast?: QueryRun }
  >
  /** The gather by which a query is answered that would send more rows to its shards. */
  insteadOfSending(run: QueryRun): Promise<GatherPlan | undefined>
  /** What is read of tables whose rows are sent to where a statement runs. */
  homeInputs(run: Run): Promise<PlannedInputs>
}

/** Where a statement goes. */
export type Resolved =
  /** To the home node: it names no sharded table. */
  | { readonly kind: 'home' }
  /** To its rows, some of which it moves to other shards. */
  | { readonly kind: 'move'; readonly use: TableUse; readonly run: Run }
  /** To the one node where all of it lies, or that is to tell what is wrong with it. */
  | { readonly kind: 'place'; readonly place: Place; readonly run: Run }
  | { readonly kind: 'shards'; readonly run: Run }

/** A statement that is to be run. */
export interface Asked extends Question {
  readonly context: StatementContext
}

/**
 * How a query would be answered: it is planned, and not run. A part that is run first is explained, not run, and then of
 * the whole only its shards are known.
 *
 * @throws ShardedError NOT_SHARDED, STATEMENT_UNSUPPORTED, and what running it refuses
 */
export async function explainStatement(engine: StatementPlanner, asked: Asked): Promise<Explanation> {
  const resolved = await engine.resolve(asked)
  if (resolved.kind === 'home')
    throw new ShardedError('NOT_SHARDED', 'The query names no sharded table.', { details: { text: asked.text } })
  const { run } = resolved
  const { analysis, statement } = run
  const about = { entity: entityNames(analysis), operation: 'query' }
  if (resolved.kind === 'place') return explainPlace(engine, about, resolved)
  if (resolved.kind === 'move') return explainPlanned(about, { run, ...planStatementMove(engine, run, resolved.use) })
  const whole = provenSteps(engine, run)
  if (whole) return explainSteps(engine, about, { run, whole })
  if ('SelectStmt' in statement) {
    if (statement.SelectStmt.larg || !hasParts(analysis) || problemOf(analysis)) return explainQuery(engine, about, run)
    const gather = await engine.insteadOfSending({ ...run, asText: false })
    return gather ? explainedGather(about, gather) : explainParts(engine, about, run)
  }
  const readFirst = queryReadFirst(run)
  if (readFirst) return explainParts(engine, about, run, [readFirst])
  const isAtHome = analysis.uses.every(({ rangeVar }) => rangeVar !== targetTable(statement))
  const asSent =
    'InsertStmt' in statement && isAtHome
      ? insertAsSent(engine, run, statement.InsertStmt)
      : broadcastWrite(run, engine)
  return explainWritten(engine, about, (await asSent) ?? run)
}

const hasParts = ({ detached, homeTables }: StatementAnalysis): boolean => detached.length > 0 || homeTables.length > 0

async function explainWritten(engine: StatementPlanner, about: About, run: Run): Promise<Explanation> {
  if (hasParts(run.analysis)) return explainParts(engine, about, run)
  const planned = await planStatement(engine, run)
  if (planned.kind === 'home') throw new RangeError('A write of an unsharded table has parts of shards.')
  return explainPlanned(about, { run, plan: planned.plan })
}

async function explainQuery(engine: StatementPlanner, about: About, run: Run): Promise<Explanation> {
  const { main } = run.analysis
  const { larg } = selectOf(run.statement)
  const planned = await engine.planned({ ...run, asText: false })
  if (planned.plan && main) {
    const { plan, onShards } = planned
    const shards = onShards.shards.map(({ name }) => name)
    return explain({ ...about, shards, reason: reasonOf(main, run), plan, ...explainPlan(plan) })
  }
  if (!planned.plan && planned.broadcast) return explainParts(engine, about, planned.broadcast)
  if (!planned.plan && !planned.gather && larg)
    return explainParts(engine, about, run, setSides(selectOf(run.statement)))
  if (planned.plan || !planned.gather) throw new RangeError('A query over shards has a plan.')
  return explainedGather(about, planned.gather)
}

function explainedGather(about: About, plan: GatherPlan): Explanation {
  const explained = explainGather(plan)
  const shards = [...new Set(explained.statements.flatMap((one) => one.shards))]
  return explain({ ...about, shards, reason: 'the query is not local: its tables are read apart', plan, ...explained })
}

/** A statement whose WITH writes: its first part is explained; what it returns decides the rest. */
async function explainSteps(
  engine: StatementPlanner,
  about: About,
  { run, whole }: { readonly run: Run; readonly whole: WriteSteps },
): Promise<Explanation> {
  const { context, parameters } = run
  const asked = { ...firstStep(whole, parameters), context }
  const isOfShards = (await engine.reader.understand(asked.text)) !== undefined
  const { home } = engine.runtime.map
  const first = isOfShards
    ? await explainStatement(engine, asked)
    : {
        shards: [],
        reason: 'its first part is of the home node',
        statements: [],
        steps: [`ask node ${home}: ${asked.text}`],
      }
  return explain({
    ...about,
    shards: first.shards,
    reason: first.reason,
    statements: first.statements,
    steps: [
      ...first.steps,
      'run each other part over the rows that the parts before it returned, in the same transaction',
    ],
  })
}

interface About {
  readonly entity: string
  readonly operation: string
}

/** A statement all of which goes to one node. */
async function explainPlace(
  engine: StatementPlanner,
  about: About,
  { place, run }: Extract<Resolved, { kind: 'place' }>,
): Promise<Explanation> {
  const { shard } = place
  const shards = [...place.shards.values()].map(({ name }) => name)
  const [cluster] = run.analysis.clusters
  const reason = cluster ? reasonOf(cluster, run) : ''
  engine.checkPlace(place, run)
  if (run.writes) {
    const plan = await planAtPlace(place, run)
    return explain({ ...about, shards, reason, plan, ...explainWrite(plan) })
  }
  const bound = bindShardNames(wholeText(run, place), shard)
  const statements = [{ node: shard.node, shards, text: bound, parameters: run.parameters }]
  return explain({ ...about, shards, reason, plan: route(statements), statements, steps: [] })
}

function explainPlanned(about: About, { run, plan }: { readonly run: Run; readonly plan: WritePlan }): Explanation {
  const reason = writeReason(run)
  return explain({ ...about, shards: writtenShards(plan), reason, plan, ...explainWrite(plan) })
}

function writeReason(run: Run): string {
  const { main, sources } = run.analysis
  const cluster = 'InsertStmt' in run.statement ? sources[0] : main
  return cluster ? reasonOf(cluster, run) : 'each row goes to the shard of its shard key'
}

function reasonOf(cluster: Cluster, { parameters, context }: Run): string {
  const { pinned, lookedUp } = context
  const [use] = cluster.uses
  if (pinned && pinned.group === use?.table.group) return 'a hint says so'
  const found = lookedUp?.get(cluster)
  if (found) return found.reason
  return routeCluster(cluster, parameters).reason
}

/**
 * A statement with parts that are run first, and with tables that its shards do not have: these are explained, and of the whole its shards.
 *
 * @param whole queries that give all that it is made of
 */
async function explainParts(
  engine: StatementPlanner,
  about: About,
  run: Run,
  whole?: readonly SelectStmt[],
): Promise<Explanation> {
  const first: Part[] = []
  for (const part of whole ?? queriesFirst(run.analysis)) first.push(await explainPart(engine, run, part))
  if (!whole) first.push(...(await explainSent(engine, run)))
  const main = await explainedMain(engine, run)
  const all = main ? [...first, main] : first
  const reasons = new Set(all.flatMap(({ reason }) => (reason === '' ? [] : [reason])))
  return explain({
    ...about,
    shards: [...new Set(all.flatMap(({ shards }) => shards))],
    reason: [...reasons].join('; '),
    statements: first.flatMap(({ statements }) => statements),
    steps: [
      ...first.flatMap(({ steps }) => steps),
      main ? main.step : `let node ${engine.places.home} put the parts together`,
    ],
  })
}

type Part = Pick<Explanation, 'shards' | 'reason' | 'statements' | 'steps'>

/** A part of no shard. */
const nothing: Omit<Part, 'steps'> = { shards: [], reason: '', statements: [] }

const queriesFirst = ({ detached }: StatementAnalysis): readonly SelectStmt[] =>
  detached.map((part) => detachedSelect(part))

/** A query that is run by itself. */
async function explainPart(engine: StatementPlanner, { parameters, context }: Run, part: SelectStmt): Promise<Part> {
  const template = templateOf({ SelectStmt: part })
  const values = pick(template.parameters, parameters)
  if (await engine.reader.understand(template.text))
    return explainStatement(engine, { text: template.text, parameters: values, context })
  return { ...nothing, steps: [`ask node ${engine.places.home}: ${template.text}`] }
}

/** What is read of tables whose rows are sent to where a statement runs. */
async function explainSent(engine: StatementPlanner, run: Run): Promise<readonly Part[]> {
  const sent = [...sentTables(run)]
  const isFar = ({ schemaname, relname = '' }: RangeVar) =>
    engine.reader.catalog.table(schemaname, relname) !== undefined
  if (!sent.some(isFar))
    return sent.map(({ relname }) => ({
      ...nothing,
      steps: [`copy the rows of ${relname} from node ${engine.places.home}`],
    }))
  const inputs = (await engine.homeInputs(run)).inputs.map(({ input }) => input)
  return inputs.map((input) => {
    const { statements, steps } = explainSource(input.source)
    const shards = statements.flatMap((one) => one.shards)
    return {
      shards,
      reason: run.analysis.main ? sentToShards : sentHome,
      statements,
      steps: [copyStep(input, inputs), ...steps],
    }
  })
}

const sentToShards = 'the rows of other tables are sent to its shards'
const sentHome = 'the rows of other tables are sent to the home node'

/** The shards of the whole, why these, and what is done there. */
interface ExplainedMain extends Pick<Explanation, 'shards' | 'reason'> {
  readonly step: string
}

/** Which shards the whole goes to, and why; undefined where it goes to the home node. */
async function explainedMain(engine: StatementPlanner, run: Run): Promise<ExplainedMain | undefined> {
  const { statement, analysis, parameters } = run
  const withParts = (main: Pick<Explanation, 'shards' | 'reason'>): ExplainedMain => ({
    ...main,
    step: `ask ${main.shards.length} shard(s) the whole, with the rows of its other parts in their places`,
  })
  if ('SelectStmt' in statement) {
    const { main } = analysis
    // The sides of a set operation are put together on the home node.
    if (!main || statement.SelectStmt.larg) return undefined
    const shards = engine.places.allowedShards(main, run, false).map(({ name }) => name)
    return withParts({ shards, reason: reasonOf(main, run) })
  }
  const target = analysis.uses.find(({ rangeVar }) => rangeVar === targetTable(statement))
  if (!target) return undefined
  if (queryReadFirst(run)) {
    const shards = engine.runtime.map.groups.get(target.table.group) ?? []
    return {
      shards: shards.map(({ name }) => name),
      reason: 'each row goes to the shard of its shard key',
      step: 'insert the rows that this gives as VALUES, in the same transaction',
    }
  }
  // The shards do not depend on the rows of the parts, which are not read here.
  const planned = await planStatement(
    {
      runtime: engine.runtime,
      places: engine.places,
      reader: engine.reader,
      templates: new TextPlans(),
      run: async () => undefined,
      texts: async () => ({ rows: [], columns: [] }),
      substitute: async () => ({ shipped: [], replacements: new Map(), values: parameters }),
    },
    run,
  )
  return planned.kind === 'home'
    ? undefined
    : withParts({ shards: writtenShards(planned.plan), reason: writeReason(run) })
}

/** The sharded tables of a statement, by their entities' names. */
const entityNames = ({ uses }: StatementAnalysis): string =>
  [...new Set(uses.map(({ table }) => table.entity?.name ?? table.name))].join(', ')
