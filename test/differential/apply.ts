import type { EntityManager, ObjectLiteral, Repository } from 'typeorm'
import { ShardedRepository } from '../../src/index'
import { applyBuild } from './apply-build'
import { applyMade } from './apply-made'
import { applySql } from './apply-sql'
import { changeInPlace } from './change-in-place'
import { specs } from './columns'
import { type DataObject, decode } from './data'
import { entities } from './entities'
import { conflictPaths } from './generate-writes'
import type { Call, Loaded, Operation, Transaction } from './operation'
import { nameOfOperation } from './operation'
import { describe, describeError, type Outcome } from './outcome'
import { store } from './store-rows'
import type { Side } from './world'

type Method = (this: Repository<ObjectLiteral>, ...args: unknown[]) => Promise<unknown>

/** Runs an operation on one side. It never throws: an error is an outcome. */
export async function apply(side: Side, operation: Operation): Promise<Outcome> {
  try {
    if (operation.do === 'transaction') return await applyTransaction(side.dataSource, operation)
    return { value: await applyOne(side.dataSource.manager, operation) }
  } catch (error) {
    return describeError(error)
  }
}

function applyOne(manager: EntityManager, operation: Exclude<Operation, Transaction>): Promise<unknown> {
  switch (operation.do) {
    case 'call':
      return applyCall(manager, operation)
    case 'loaded':
      return applyLoaded(manager, operation)
    case 'build':
      return applyBuild(manager, operation)
    case 'sql':
      return applySql(manager, operation)
    case 'made':
      return applyMade(manager, operation)
  }
}

/** Thrown inside a transaction that is to be rolled back. */
class Unwanted extends Error {}

/** A data source begins a transaction, the manager of one a savepoint. */
type Begin = Pick<EntityManager, 'transaction'>

async function applyTransaction(side: Begin, { commits, operations }: Transaction): Promise<Outcome> {
  const parts: Outcome[] = []
  try {
    await side.transaction(async (manager) => {
      for (const operation of operations) {
        if (operation.do === 'transaction') parts.push(await applySavepoint(manager, operation))
        else await applyPart(manager, operation, parts)
      }
      if (!commits) throw new Unwanted()
    })
  } catch (error) {
    if (error instanceof Refused) return { parts: [...parts, error.outcome], ...error.outcome }
    const last = parts.at(-1)
    if (!(error instanceof Unwanted) && !last?.error) return { ...describeError(error), parts }
    return { parts, ...(last?.refusal !== undefined && { refusal: last.refusal, refused: last.refused ?? '' }) }
  }
  return { parts }
}

async function applyPart(manager: EntityManager, operation: Exclude<Operation, Transaction>, parts: Outcome[]) {
  try {
    parts.push({ value: await applyOne(manager, operation) })
  } catch (error) {
    parts.push({ ...describeError(error), refused: nameOfOperation(operation) })
    throw error
  }
}

/** A refusal ends the whole: the other side does not meet it. */
class Refused extends Error {
  constructor(readonly outcome: Outcome) {
    super('An operation was refused.')
  }
}

async function applySavepoint(manager: EntityManager, operation: Transaction): Promise<Outcome> {
  const outcome = await applyTransaction(manager, operation)
  if (outcome.refusal !== undefined) throw new Refused(outcome)
  return outcome
}

/** These fill what they are given, which is looked at as well. */
const filling = new Set(['insert', 'upsert', 'save', 'remove', 'softRemove', 'recover', 'preload'])

async function applyCall(manager: EntityManager, { entity, method, args, changedTo }: Call): Promise<unknown> {
  const repository: Repository<ObjectLiteral> = manager.getRepository(entities[entity])
  const given = args.map(decode)
  if (method === 'load') return store(repository, given[0] as ObjectLiteral[])
  const working =
    method === 'stream' ? streamed(repository, given[0]) : methodOf(repository, method).call(repository, ...given)
  if (changedTo) changeInPlace(given, changedTo.map(decode))
  const result = await working
  if (!filling.has(method)) return describe(result)
  return { result: describe(result), given: describe(given[0]), isSame: isSame(result, given[0]) }
}

/** A stream gives the entities of the find with its options, which one database is asked for. */
const streamed = (repository: Repository<ObjectLiteral>, options: unknown): Promise<ObjectLiteral[]> =>
  repository instanceof ShardedRepository
    ? repository.stream(options as object).toArray()
    : repository.find(options as object)

async function applyLoaded(manager: EntityManager, operation: Loaded): Promise<unknown> {
  const repository: Repository<ObjectLiteral> = manager.getRepository(entities[operation.entity])
  const loaded = await repository.find(decode(operation.find) as object)
  for (const [index, entity] of loaded.entries()) {
    const change = operation.changes[index % operation.changes.length]
    if (change) assign(entity, decode(change) as ObjectLiteral)
  }
  const [first] = loaded
  if (operation.isSingle && !first) return '«nothing was loaded»'
  if (first && operation.children) changeChildren(operation.entity, first, operation.children)
  const also = operation.also.map(decode) as ObjectLiteral[]
  if (operation.hands) handOver(operation.hands, loaded, also)
  const given = operation.isSingle ? first : [...loaded, ...also]
  if (operation.method === 'upsert') {
    const result = await repository.upsert(given as ObjectLiteral[], [...conflictPaths(specs[operation.entity])])
    return { result: describe(result), given: describe(given) }
  }
  const result = await methodOf(repository, operation.method).call(repository, given)
  return { result: describe(result), isSame: isSame(result, given) }
}

/** Unique values go from row to row, in the order of the list. */
function handOver(hands: NonNullable<Loaded['hands']>, loaded: readonly ObjectLiteral[], also: ObjectLiteral[]): void {
  const values = loaded.map(({ email }): unknown => email)
  const last = loaded.length - 1
  const [first] = loaded
  switch (hands) {
    case 'up':
      for (const [index, entity] of loaded.entries()) entity['email'] = values[index + 1] ?? null
      return
    case 'down':
      for (const [index, entity] of loaded.entries()) entity['email'] = values[index - 1] ?? null
      return
    case 'round':
      for (const [index, entity] of loaded.entries()) entity['email'] = values[index === last ? 0 : index + 1] ?? null
      return
    case 'new':
      if (also[0]) also[0]['email'] = values[0] ?? null
      if (first) first['email'] = null
  }
}

function changeChildren(
  name: Loaded['entity'],
  entity: ObjectLiteral,
  { property, add, drop }: NonNullable<Loaded['children']>,
): void {
  const { children } = specs[name]
  const { idFor } = specs[children?.entity ?? name]
  // Related entities come in any order.
  const old: ObjectLiteral[] = Array.isArray(entity[property])
    ? entity[property].toSorted((one: ObjectLiteral, other: ObjectLiteral) => compareIds(one['id'], other['id']))
    : []
  const added = (add as readonly DataObject[]).map((child) => ({
    ...(decode(child) as object),
    ...('owner' in entity && { owner: entity['owner'] }),
    ...(idFor && { id: idFor(String(child['id']), String(entity['owner'])) }),
  }))
  entity[property] = [...old.slice(drop), ...added]
}

function methodOf(repository: Repository<ObjectLiteral>, name: string): Method {
  const method: unknown = (repository as unknown as Record<string, unknown>)[name]
  if (typeof method !== 'function') throw new RangeError(`A repository has no ${name}.`)
  return method as Method
}

const embedded = new Set(['address', 'point', 'place'])

/** Embedded objects are changed in place. */
function assign(target: ObjectLiteral, change: ObjectLiteral): void {
  for (const [name, value] of Object.entries(change)) {
    const isEmbedded = embedded.has(name)
    if (isEmbedded && target[name] !== null && typeof target[name] === 'object') assign(target[name], value)
    else target[name] = value
  }
}

/** Whether the result is the very object, or list of objects, that was given. */
const isSame = (result: unknown, given: unknown): boolean | readonly boolean[] =>
  Array.isArray(result) && Array.isArray(given)
    ? [result === given, ...result.map((one, index) => one === given[index])]
    : result === given

const compareIds = (one: unknown, other: unknown): number =>
  Number(one) - Number(other) || (String(one) < String(other) ? -1 : 1)
