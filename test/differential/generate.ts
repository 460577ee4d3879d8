import { type EntitySpec, primaryOf, specs } from './columns'
import type { Configuration, GroupSpec } from './configurations'
import type { DataObject } from './data'
import { makeRead } from './generate-reads'
import { makeMistake, makeRows, makeWrite } from './generate-writes'
import type { Case, Operation, Rows } from './operation'
import type { Rng } from './rng'

/** A case of rows and operations on the entities of one group. */
export function makeCase(rng: Rng, configuration: Configuration, group: GroupSpec, operations: number): Case {
  const known = group.entities.map((name) => specs[name])
  return {
    configuration,
    group: group.group,
    seed: makeSeed(rng, known),
    operations: Array.from({ length: operations }, () => makeOperation(rng, known)),
  }
}

function makeSeed(rng: Rng, known: readonly EntitySpec[]): readonly Rows[] {
  const seed: Rows[] = []
  for (const spec of known) {
    const rows = makeRows(rng, spec, rng.oneIn(20) ? 0 : 20 + rng.int(50))
    seed.push({ entity: spec.name, rows: spec.parent ? rows.filter((row) => hasParent(spec, row, seed)) : rows })
  }
  return seed
}

/** A foreign key needs its row. */
function hasParent({ parent }: EntitySpec, row: DataObject, seed: readonly Rows[]): boolean {
  const parents = seed.find(({ entity }) => entity === parent?.entity)
  const spec = parents && specs[parents.entity]
  const [id] = spec ? primaryOf(spec) : []
  const reference = row[spec?.children?.foreignKey ?? '']
  return reference === null || parents === undefined || parents.rows.some((one) => one[id?.path ?? ''] === reference)
}

const makeOperation = (rng: Rng, known: readonly EntitySpec[]): Operation => {
  const spec = rng.pick(known)
  return rng.weighted<Operation>([
    [70, () => makeRead(rng, spec)],
    [26, () => makeWrite(rng, spec)],
    [4, () => makeMistake(rng, spec)],
  ])
}
