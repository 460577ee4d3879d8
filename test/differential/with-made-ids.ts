import { type EntitySpec, specs } from './columns'
import type { Data, DataObject } from './data'
import type { Made, Operation } from './operation'
import type { Outcome } from './outcome'
import { numberIdAt, uuidIdAt } from './sharded-ids'

/** The operation as the side without shards does it: its rows have the ids that were made, or ids to spare where none were. */
export function withMadeIds(operation: Operation, outcome: Outcome | undefined): Operation {
  if (operation.do === 'made') return withIds(operation, idsOf(outcome))
  if (operation.do !== 'transaction') return operation
  const operations = operation.operations.map((one, index) => withMadeIds(one, outcome?.parts?.[index]))
  return { ...operation, operations }
}

const idsOf = (outcome: Outcome | undefined): readonly string[] =>
  (outcome?.value as { readonly ids?: readonly string[] } | undefined)?.ids ?? []

/** Ids are given to the rows and their children in one order: that of `idsIn`. */
function withIds(operation: Made, ids: readonly string[]): Made {
  const spec = specs[operation.entity]
  let place = 0
  const next = (of: EntitySpec, row: DataObject): Data => {
    const makeId = of.columns.some(({ path, kind }) => path === 'id' && kind === 'uuid') ? uuidIdAt : numberIdAt
    const spare = makeId(operation.spare + place, String(row['owner']))
    place += 1
    return ids[place - 1] ?? spare
  }
  const rows = operation.rows.map((row) => {
    const whole = { id: next(spec, row), ...row }
    const { children } = spec
    const list = children && row[children.property]
    if (!children || !Array.isArray(list)) return whole
    const withOwn = (list as readonly DataObject[]).map((child) => ({
      id: next(specs[children.entity], row),
      ...child,
    }))
    return { ...whole, [children.property]: withOwn }
  })
  return { ...operation, rows }
}

/** The ids of rows and of their children. */
export function idsIn({ children }: EntitySpec, rows: readonly Record<string, unknown>[]): readonly unknown[] {
  return rows.flatMap((row) => {
    const list: unknown = children && row[children.property]
    return [row['id'], ...(Array.isArray(list) ? list.map((child: Record<string, unknown>) => child['id']) : [])]
  })
}
