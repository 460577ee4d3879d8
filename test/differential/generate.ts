import { type EntitySpec, primaryOf, specs } from './columns'
import type { GroupSpec } from './configurations'
import type { DataObject } from './data'
import { makeSqlAcross } from './generate-across'
import { makeBuilderRead, makeBuilderWrite } from './generate-builders'
import { makeSqlGather } from './generate-gather'
import { lockOf, makeFind, makeRead } from './generate-reads'
import { makeSession } from './generate-sessions'
import { makeSqlSelect, makeSqlWrite } from './generate-sql'
import { makeMistake, makeRows, makeWrite } from './generate-writes'
import { type Call, type Case, nameOfOperation, type Operation, type Rows, type Transaction } from './operation'
import type { Rng } from './rng'
import type { World } from './world'

/** The shard of a row, where there are several; rows of one case may all stand on one. */
export type Locate = (spec: EntitySpec, row: DataObject) => string

/** A case of rows and operations on the entities of one group. */
export function makeCase(rng: Rng, world: Pick<World, 'configuration'> & { locate: Locate }, given: GivenCase): Case {
  const { group, operations } = given
  const known = [...group.entities, ...(rng.oneIn(4) ? (['Setting'] as const) : [])].map((name) => specs[name])
  const make = given.isDeep ? makeDeepRead : given.gathers ? makeGather : makeOperation
  return {
    configuration: world.configuration,
    group: group.group,
    seed: given.isDeep ? makeDeepSeed(rng, known) : makeSeed(rng, known, world.locate),
    operations: Array.from({ length: operations }, () => make(rng, known)),
  }
}

export interface GivenCase {
  readonly group: GroupSpec
  readonly operations: number
  /** Many rows, and pages far behind the first. */
  readonly isDeep: boolean
  /** Only statements that are gathered. */
  readonly gathers?: boolean
}

function makeSeed(rng: Rng, known: readonly EntitySpec[], locate: Locate): readonly Rows[] {
  const seed: Rows[] = []
  const isOnOneShard = rng.oneIn(12)
  for (const spec of known) {
    const rows = makeRows(rng, spec, rng.oneIn(20) ? 0 : 20 + rng.int(50))
    const kept = distinct(spec, spec.parent ? rows.filter((row) => hasParent(spec, row, seed)) : rows)
    const [first] = seed[0]?.rows ?? kept
    const only = isOnOneShard && first && seed.length === 0 ? locate(spec, first) : undefined
    seed.push({ entity: spec.name, rows: only === undefined ? kept : kept.filter((row) => locate(spec, row) === only) })
  }
  return seed
}

/** Of rows with one value in a unique column, only the first keeps it. */
function distinct({ columns }: EntitySpec, rows: readonly DataObject[]): readonly DataObject[] {
  const path = columns.find(({ isUnique }) => isUnique)?.path
  if (path === undefined) return rows
  const seen = new Set<unknown>()
  return rows.map((row) => {
    const value = row[path]
    const isRepeated = seen.has(value)
    seen.add(value)
    return isRepeated && value !== undefined ? { ...row, [path]: null } : row
  })
}

/** Of a deep case. Many of its pages begin behind the last row of every single shard. */
const deepRows = 500

/** Many narrow rows of one entity, which is a child where there are children: parents have fewer keys. */
function makeDeepSeed(rng: Rng, known: readonly EntitySpec[]): readonly Rows[] {
  const seed: Rows[] = []
  for (const spec of known) {
    const isDeep = spec === known[0]
    const rows = makeRows(rng, spec, isDeep ? deepRows : 40, { share: 20, isFresh: isDeep })
    const kept = spec.parent ? rows.filter((row) => hasParent(spec, row, seed)) : rows
    seed.push({ entity: spec.name, rows: distinct(spec, kept) })
  }
  return seed
}

function makeDeepRead(rng: Rng, known: readonly EntitySpec[]): Call {
  const [spec = specs.Account] = known
  const { options, isTotal, paths } = makeFind(rng, spec)
  const page = { skip: rng.int(deepRows + 50), ...(!rng.oneIn(5) && { take: 1 + rng.int(30) }) }
  const { where: _, ...all } = options
  return {
    do: 'call',
    entity: spec.name,
    method: rng.oneIn(4) ? 'findAndCount' : 'find',
    args: [{ ...(rng.oneIn(3) ? options : all), ...page }],
    compare: isTotal ? 'exact' : { sortedBy: paths, isPaged: true },
  }
}

/** A foreign key needs its row. */
function hasParent({ parent }: EntitySpec, row: DataObject, seed: readonly Rows[]): boolean {
  const parents = seed.find(({ entity }) => entity === parent?.entity)
  const spec = parents && specs[parents.entity]
  const [id] = spec ? primaryOf(spec) : []
  const reference = row[spec?.children?.foreignKey ?? '']
  return reference === null || parents === undefined || parents.rows.some((one) => one[id?.path ?? ''] === reference)
}

type Simple = Exclude<Operation, Transaction>

/** Of all operations, by weight. */
const makeSimple = (rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Simple =>
  rng.weighted<Simple>([
    [38, () => makeRead(rng, spec)],
    [18, () => makeBuilderRead(rng, spec, known)],
    [16, () => makeSqlSelect(rng, spec, known)],
    [18, () => makeWrite(rng, spec)],
    [5, () => makeBuilderWrite(rng, spec)],
    [3, () => makeSqlWrite(rng, spec, known)],
  ])

const makeGather = (rng: Rng, known: readonly EntitySpec[]): Operation =>
  rng.oneIn(4) ? makeSqlAcross(rng, rng.pick(known), known) : makeSqlGather(rng, rng.pick(known), known)

const makeOperation = (rng: Rng, known: readonly EntitySpec[]): Operation => {
  const spec = rng.pick(known)
  return rng.weighted<Operation>([
    [94, () => makeSimple(rng, spec, known)],
    [3, () => makeTransaction(rng, known)],
    [3, () => makeMistake(rng, spec)],
  ])
}

/** `preload` of TypeORM leaves the transaction that it is called in. */
const leaving = new Set(['preload'])

/** Transactions in each other: the outermost, and savepoints. */
const deepest = 3

function makeTransaction(rng: Rng, known: readonly EntitySpec[], depth = 1): Transaction {
  const make = (): Operation =>
    depth < deepest && rng.oneIn(5)
      ? makeTransaction(rng, known, depth + 1)
      : inside(rng, makeSimple(rng, rng.pick(known), known))
  const operations = rng.oneIn(2) ? makeSession(rng, known, make) : Array.from({ length: 2 + rng.int(4) }, make)
  return {
    do: 'transaction',
    entity: rng.pick(known).name,
    method: 'transaction',
    commits: !rng.oneIn(3),
    operations: operations.filter((operation) => !leaving.has(nameOfOperation(operation))),
  }
}

const finding = new Set(['find', 'findAndCount', 'findOne', 'findOneOrFail', 'stream'])

/**
 * An operation for a transaction: finds may lock what they find, and do not select or sort by columns of which TypeORM
 * makes a wrong statement, since that ends one database's transaction and not the other.
 */
function inside(rng: Rng, operation: Simple): Simple {
  if (operation.do !== 'call' || !finding.has(operation.method)) return operation
  const {
    select: _select,
    lock: _lock,
    relations: _relations,
    skip,
    take,
    ...options
  } = operation.args[0] as DataObject
  const { parent } = specs[operation.entity]
  const isByRelation = parent !== undefined && parent.property in ((options['order'] ?? {}) as DataObject)
  if (isByRelation) return { ...operation, method: 'find', args: [options] }
  const locks = operation.method !== 'stream' && rng.oneIn(4)
  const page = { ...(skip !== undefined && { skip }), ...(take !== undefined && { take }) }
  return { ...operation, args: [{ ...options, ...page, ...(locks && { lock: lockOf(rng) }) }] }
}
