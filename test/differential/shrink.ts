import { specs } from './columns'
import type { Data, DataObject } from './data'
import type { Build, Case, Clause, Operation, Rows } from './operation'

/** A difference in a case. */
export interface Found {
  /** Of the operation; -1 where the rows differ before any. */
  readonly index: number
  /** What sort of difference: shrinking must not turn one into another. */
  readonly kind: string
  readonly text: string
}

type Run = (made: Case) => Promise<Found | undefined>

/** Shrinking ends there: a case that is small enough by then is better than a smaller one that nobody waited for. */
const mostRuns = 250
const mostMs = 30_000

/** A smaller case that still differs. */
export async function shrink(made: Case, found: Found, run: Run): Promise<Found & { readonly case: Case }> {
  const deadline = Date.now() + mostMs
  let best = { case: { ...made, operations: made.operations.slice(0, found.index + 1) }, ...found }
  let runs = 0
  const attempt = async (candidate: Case): Promise<boolean> => {
    if (runs >= mostRuns || Date.now() > deadline) return false
    runs += 1
    // A candidate may make no sense (a child without its parent): then it proves nothing.
    const again = await run(candidate).catch(() => undefined)
    if (again?.kind !== found.kind) return false
    best = { case: { ...candidate, operations: candidate.operations.slice(0, again.index + 1) }, ...again }
    return true
  }
  await withoutParts(
    () => best.case.operations.slice(0, -1),
    (operations) => attempt({ ...best.case, operations: [...operations, ...best.case.operations.slice(-1)] }),
  )
  for (const [place] of best.case.seed.entries()) {
    const rowsNow = (): readonly DataObject[] => best.case.seed[place]?.rows ?? []
    await withoutParts(rowsNow, (rows) => attempt({ ...best.case, seed: replaced(best.case.seed, place, rows) }))
  }
  await simplerOperations(() => best.case, attempt)
  await simplerRows(() => best.case, attempt)
  return best
}

/** Takes halves away, then quarters, down to single elements. */
async function withoutParts<T>(
  current: () => readonly T[],
  attempt: (list: readonly T[]) => Promise<boolean>,
): Promise<void> {
  for (let size = Math.max(1, current().length); size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < current().length; ) {
      const list = current()
      const shorter = [...list.slice(0, start), ...list.slice(start + size)]
      if (!(await attempt(shorter))) start += size
    }
  }
}

function replaced(seed: readonly Rows[], place: number, rows: readonly DataObject[]): readonly Rows[] {
  return seed.map((one, index) => (index === place ? { ...one, rows } : one))
}

async function simplerOperations(current: () => Case, attempt: (made: Case) => Promise<boolean>): Promise<void> {
  for (const [place] of current().operations.entries()) {
    for (let again = true; again; ) {
      again = false
      const operation = current().operations[place]
      if (!operation) return
      for (const simpler of simplerThan(operation)) {
        const operations = current().operations.map((one, index) => (index === place ? simpler : one))
        if (await attempt({ ...current(), operations })) {
          again = true
          break
        }
      }
    }
  }
}

function* simplerThan(operation: Operation): Generator<Operation> {
  if (operation.do === 'call') {
    const { changedTo, ...unchanged } = operation
    if (changedTo) yield unchanged
    for (const simpler of without(changedTo ?? null)) yield { ...operation, changedTo: simpler as readonly Data[] }
    for (const [place, argument] of operation.args.entries()) {
      for (const simpler of without(argument))
        yield { ...operation, args: operation.args.map((one, index) => (index === place ? simpler : one)) }
    }
    return
  }
  if (operation.do === 'build') {
    for (const steps of simplerSteps(operation.steps)) yield { ...operation, steps }
    return
  }
  if (operation.do === 'sql') {
    for (const clauses of simplerClauses(operation.clauses)) yield { ...operation, clauses }
    return
  }
  if (operation.do === 'transaction') {
    const { operations } = operation
    for (const [place, inner] of operations.entries()) {
      yield { ...operation, operations: operations.filter((_, index) => index !== place) }
      for (const simpler of simplerThan(inner)) {
        yield { ...operation, operations: operations.map((one, index) => (index === place ? simpler : one)) }
      }
    }
    return
  }
  if (operation.do === 'made') {
    for (const rows of without(operation.rows)) yield { ...operation, rows: rows as readonly DataObject[] }
    return
  }
  const { hands, ...handless } = operation
  if (hands) yield handless
  for (const find of without(operation.find)) yield { ...operation, find: find as DataObject }
  for (const changes of without(operation.changes)) yield { ...operation, changes: changes as readonly DataObject[] }
  for (const also of without(operation.also)) yield { ...operation, also: also as readonly Data[] }
}

/** An order or a selection that is cut short leaves the answer open. */
const kept = new Set(['orderBy', 'addOrderBy', 'select', 'distinctOn', 'groupBy', 'addGroupBy'])

/** The calls on a query builder, one less or with less in one. */
function* simplerSteps(steps: Build['steps']): Generator<Build['steps']> {
  for (const [place, step] of steps.entries()) {
    const [method] = step
    if (kept.has(String(method))) continue
    yield steps.filter((_, index) => index !== place)
    for (const smaller of without(step.slice(1)))
      yield steps.map((one, index) => (index === place ? [method ?? null, ...(smaller as readonly Data[])] : one))
  }
}

/** A side of a set operation less, or a part of a clause. */
function* simplerClauses(clauses: readonly Clause[]): Generator<readonly Clause[]> {
  for (const side of new Set(clauses.map((clause) => clause.side))) {
    if (side !== undefined) yield clauses.filter((clause) => clause.side !== side)
  }
  for (const [place, clause] of clauses.entries()) {
    for (const [index, { mayGo = false }] of clause.parts.entries()) {
      if (clause.isFixed && (!mayGo || clause.parts.length === 1)) continue
      const parts = clause.parts.filter((_, other) => other !== index)
      yield clauses.map((one, other) => (other === place ? { ...one, parts } : one))
    }
  }
}

/** Columns that the difference does not need. */
async function simplerRows(current: () => Case, attempt: (made: Case) => Promise<boolean>): Promise<void> {
  for (const [place, { entity, rows }] of current().seed.entries()) {
    const needed = new Set(specs[entity].columns.filter((column) => !column.nullable).map((column) => column.path))
    for (const name of new Set(rows.flatMap((row) => Object.keys(row)))) {
      if (needed.has(name)) continue
      const narrower = (current().seed[place]?.rows ?? []).map(({ [name]: _, ...rest }) => rest)
      await attempt({ ...current(), seed: replaced(current().seed, place, narrower) })
    }
  }
}

/** The same data with one property or element less, somewhere. */
function* without(data: Data): Generator<Data> {
  if (data === null || typeof data !== 'object') return
  if (Array.isArray(data)) {
    for (const [index, element] of data.entries()) {
      yield data.filter((_, other) => other !== index)
      for (const smaller of without(element)) yield data.map((one, other) => (other === index ? smaller : one))
    }
    return
  }
  const object = data as DataObject
  const isTagged = '$' in object
  for (const [name, value] of Object.entries(object)) {
    const { [name]: _, ...rest } = object
    // An order that is cut short is no longer total, and the answer no longer one.
    if (name === 'order') continue
    if (!isTagged) yield rest
    // Half a lock is another one.
    if (name === 'lock') continue
    if (!isTagged || name === 'of' || name === 'v')
      for (const smaller of without(value)) yield { ...object, [name]: smaller }
  }
}
