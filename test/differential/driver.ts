import { isDeepStrictEqual } from 'node:util'
import { ShardedDataSource } from '../../src'
import { apply } from './apply'
import { keysOf, specs } from './columns'
import { difference, differenceOf } from './compare'
import { groupsOf } from './configurations'
import { type DataObject, decode } from './data'
import { type EntityName, entities } from './entities'
import { type Locate, makeCase } from './generate'
import { type Case, isRead, nameOfOperation, type Operation } from './operation'
import type { Outcome } from './outcome'
import { isAllowedRefusal, isOracleMistake } from './refusals'
import { createRng, seedOf } from './rng'
import { type Found, shrink } from './shrink'
import { checksums, contents, empty } from './tables'
import { withMadeIds } from './with-made-ids'
import type { World } from './world'

export interface Failure {
  /** What differs, at the last operation of the case. */
  readonly text: string
  readonly case: Case
}

/** What was compared. */
export interface Report {
  operations: number
  /** Operations by their name. */
  readonly done: Map<string, number>
  /** Errors that both sides gave, by operation and message. */
  readonly errors: Map<string, number>
  /** Refusals by operation and code. */
  readonly refusals: Map<string, number>
  readonly failures: Failure[]
}

export const emptyReport = (): Report => ({
  operations: 0,
  done: new Map(),
  errors: new Map(),
  refusals: new Map(),
  failures: [],
})

type Difference = Omit<Found, 'index'>

/** Operations of one case; then the rows are new. */
const operationsOfCase = 40

export interface RunOptions {
  readonly seed: number
  readonly operations: number
  /** Stops there. */
  readonly mostFailures: number
  /** False where it is known that something is wrong, and only that it is noticed counts. */
  readonly shrinks?: boolean
  /** Only statements that are gathered. */
  readonly gathers?: boolean
}

/** One case of a run has many rows. */
const deepRound = 2

/** Random cases in one world, group after group, until so many operations are done. */
export async function run(
  world: World,
  { seed, operations, mostFailures, shrinks = true, gathers = false }: RunOptions,
): Promise<Report> {
  const report = emptyReport()
  const groups = groupsOf(world.configuration)
  // A short run does not come to all groups of one configuration: where it starts differs.
  const start = seedOf(seed, JSON.stringify(world.configuration)) % groups.length
  for (let round = 0; report.operations < operations && report.failures.length < mostFailures; round += 1) {
    const own = groups[(start + round) % groups.length]
    if (!own) break
    const other = groups[(start + round + 1) % groups.length]
    // Rows of two groups meet in a gather alone.
    const group = gathers && other !== own ? { ...own, entities: [...own.entities, ...(other?.entities ?? [])] } : own
    const rng = createRng(seedOf(seed, JSON.stringify(world.configuration), round))
    const left = Math.min(operationsOfCase, operations - report.operations)
    const isDeep = round === deepRound && !gathers
    const made = makeCase(rng, { ...world, locate: locatorOf(world) }, { group, operations: left, isDeep, gathers })
    const found = await runCase(world, made, report)
    if (!found) continue
    const small = shrinks
      ? await shrink(made, found, (one) => runCase(world, one, emptyReport()))
      : { case: made, ...found }
    report.failures.push({ text: small.text, case: small.case })
  }
  return report
}

/** Runs a case in a world of its configuration. Undefined where both sides agree from end to end. */
export async function runCase(world: World, { seed, operations }: Case, report: Report): Promise<Found | undefined> {
  const names = seed.map(({ entity }) => entity)
  const sides = [world.oracle, world.sharded] as const
  const { copies } = world
  // Own SQL may read the unsharded table in any case.
  await Promise.all(
    [...sides, ...(copies ? [copies] : [])].map((side) =>
      empty(side, [...names, ...(names.includes('Setting') ? [] : ['Setting' as const])]),
    ),
  )
  const lookups = lookupsOf(world, names)
  await lookups?.drainLookups()
  for (const { entity, rows } of seed) {
    if (rows.length === 0) continue
    const insert = async ({ dataSource }: World['oracle'], given: readonly DataObject[]) => {
      for (let start = 0; start < given.length; start += mostRowsAtOnce)
        await dataSource
          .getRepository(entities[entity])
          .insert(decode(given.slice(start, start + mostRowsAtOnce)) as object[])
    }
    await insert(world.oracle, rows)
    try {
      await insert(world.sharded, world.isPlain ? rows.toReversed() : rows)
    } catch (error) {
      return { index: -1, kind: 'rows', text: `The rows of ${entity} could not be inserted: ${error}` }
    }
  }
  const differenceOfTables = async (): Promise<Difference | undefined> => {
    const [sums, others] = await Promise.all(sides.map((side) => checksums(side, names)))
    if (isDeepStrictEqual(sums, others)) return differenceOfCopies()
    const [value, other] = await Promise.all(sides.map((side) => contents(side, names)))
    const found = difference('exact', { value }, { value: other })
    return found === undefined ? undefined : { kind: 'tables', text: `tables: ${found}` }
  }
  const differenceOfCopies = async (): Promise<Difference | undefined> => {
    if (!copies || !names.includes('Setting')) return undefined
    const [value, other] = await Promise.all([world.oracle, copies].map((side) => contents(side, ['Setting'])))
    const found = difference('exact', { value }, { value: other })
    return found === undefined ? undefined : { kind: 'tables', text: `copies: ${found}` }
  }
  const seeded = await differenceOfTables()
  if (seeded) return { index: -1, ...seeded }

  for (let index = 0; index < operations.length; ) {
    const reads = readsFrom(operations, index)
    if (reads.length > 0) {
      const found = await Promise.all(reads.map((operation) => compareRead(world, operation, report)))
      const at = found.findIndex((one) => one !== undefined)
      const first = found[at]
      if (first) return { index: index + at, ...first }
      index += reads.length
      continue
    }
    const operation = operations[index]
    if (!operation) break
    const different = (await compareWrite(world, operation, report)) ?? (await differenceOfTables())
    if (different) return { index, ...different }
    index += 1
  }
  const last = operations.length - 1
  const wrong = await wrongLookups(lookups)
  if (wrong !== undefined) return { index: last, kind: 'lookups', text: wrong }
  const misplaced = await misplacedRows(world, names)
  return misplaced === undefined ? undefined : { index: last, kind: 'placement', text: misplaced }
}

/** Rows that lie where nobody looks for them, though the two sides have the same rows. */
async function misplacedRows({ sharded, groups }: World, names: readonly EntityName[]): Promise<string | undefined> {
  const { dataSource } = sharded
  if (!(dataSource instanceof ShardedDataSource)) return undefined
  const own = groups.flatMap((group) => group.entities).filter((name) => names.includes(name))
  const reports = await Promise.all(own.map((name) => dataSource.verifyPlacement(entities[name])))
  const wrong = reports.flat().filter(({ misplaced }) => misplaced > 0)
  return wrong.length > 0 ? `placement: ${JSON.stringify(wrong)}` : undefined
}

/** The data source, where entities of the case have lookups. */
function lookupsOf({ sharded: { dataSource } }: World, names: readonly EntityName[]): ShardedDataSource | undefined {
  const areThere = names.some((name) => specs[name].columns.some(({ isLookedUp }) => isLookedUp))
  return areThere && dataSource instanceof ShardedDataSource ? dataSource : undefined
}

/** What lookups have that they should not have, or have not. Nothing that was written may be left for others to enter. */
async function wrongLookups(dataSource: ShardedDataSource | undefined): Promise<string | undefined> {
  if (!dataSource) return undefined
  const left = await dataSource.drainLookups()
  if (left > 0) return `lookups: ${left} notes were left`
  const wrong = (await dataSource.verifyLookups()).filter(
    ({ missing, dangling, duplicates }) => missing.length + dangling.length + duplicates.length > 0,
  )
  return wrong.length > 0 ? `lookups: ${JSON.stringify(wrong)}` : undefined
}

/** TypeORM is slower the more rows a statement has. */
const mostRowsAtOnce = 100

/** Reads that follow each other run at once. */
const mostAtOnce = 4

function readsFrom(operations: readonly Operation[], start: number): readonly Operation[] {
  const end = operations.findIndex((operation, index) => index >= start && !isRead(operation))
  return operations.slice(start, Math.min(end < 0 ? operations.length : end, start + mostAtOnce))
}

async function compareRead(world: World, operation: Operation, report: Report): Promise<Difference | undefined> {
  const [sharded, oracle] = await Promise.all([apply(world.sharded, operation), apply(world.oracle, operation)])
  return judge(operation, oracle, sharded, report)
}

/** The sharded side comes first: what it refuses, the oracle must not do either. */
async function compareWrite(world: World, operation: Operation, report: Report): Promise<Difference | undefined> {
  const sharded = await apply(world.sharded, world.isPlain ? withMadeIds(operation, undefined) : operation)
  if (isRefused(operation, sharded)) return judge(operation, sharded, sharded, report)
  return judge(operation, await apply(world.oracle, withMadeIds(operation, sharded)), sharded, report)
}

const isRefused = (operation: Operation, { refusal, refused }: Outcome): boolean =>
  refusal !== undefined && isAllowedRefusal(refused ?? nameOfOperation(operation), refusal)

function judge(operation: Operation, oracle: Outcome, sharded: Outcome, report: Report): Difference | undefined {
  report.operations += 1
  const name = nameOfOperation(operation)
  const count = (figures: Map<string, number>, key: string) => figures.set(key, (figures.get(key) ?? 0) + 1)
  count(report.done, name)
  if (isRefused(operation, sharded) && sharded.refusal !== undefined) {
    count(report.refusals, `${sharded.refused ?? name} ${sharded.refusal}`)
    return undefined
  }
  const error = oracle.error ?? oracle.parts?.at(-1)?.error
  if (error) count(report.errors, `${name} ${error.message}`)
  if (isOracleMistake(oracle)) return undefined
  const text = differenceOf(operation, oracle, sharded)
  if (text === undefined) return undefined
  const [what] = text.split(/[.:]/)
  const kind = [name, what, oracle.error?.name, sharded.error?.name, sharded.refusal].join(' ')
  return { kind, text: `${operation.entity}.${name}: ${text}${stackOf(oracle, sharded)}` }
}

/** Where an error came from that only one side has. */
function stackOf(oracle: Outcome, sharded: Outcome): string {
  if ((oracle.error === undefined) === (sharded.error === undefined)) return ''
  return `\n${oracle.error ? 'oracle' : 'sharded'}: ${oracle.stack ?? sharded.stack ?? ''}`
}

/** Where a row stands; in a world without shards all stand in one place. */
const locatorOf =
  ({ sharded: { dataSource } }: World): Locate =>
  (spec, row) => {
    if (!(dataSource instanceof ShardedDataSource)) return ''
    const key = keysOf(spec).map(({ path }) => decode(row[path]))
    return dataSource.locate(entities[spec.name], key.length === 1 ? key[0] : key).shard
  }
