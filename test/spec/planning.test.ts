import 'reflect-metadata'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ShardedError } from '../../src/errors/sharded-error'
import { loadHash } from '../../src/functions/hash'
import { planPage } from '../../src/planning/plan-page'
import { routePredicate } from '../../src/routing/route'
import { findPredicate } from '../../src/typeorm/find/find-predicate'
import type { FindOptions } from '../../src/typeorm/reads/find-scope'
import { findQuery } from '../../src/typeorm/reads/plan-find'
import { decoded } from './support/decoded'
import { specEntities } from './support/entities'
import { type OfflineWorld, offlineWorld } from './support/offline-world'
import { printPlan } from './support/print-plan'
import { isUpdate, writeCases } from './support/write-cases'

/** One find, and all of its plan. `UPDATE_SPECS=1` writes the plans anew: read the difference before you keep it. */
interface Case {
  readonly entity: string
  readonly find: Readonly<Record<string, unknown>>
  readonly rowBudget?: number
  readonly expect?: unknown
}

function planned(world: OfflineWorld, { entity, find, rowBudget = 100_000 }: Case): unknown {
  const binding = world.bindingOf(specEntities.find(({ name }) => name === entity))
  if (!binding) throw new RangeError(`There is no entity ${entity}.`)
  const options = decoded(find) as FindOptions
  try {
    const predicate = findPredicate(binding, options.where, world.bindingOf)
    const { shards, reason } = routePredicate(binding, predicate)
    const names = shards.map((index) => binding.shards[index]?.name)
    const route = { shards: names.length === binding.shards.length ? 'all' : names, reason }
    if (shards.length === 1) return { route }
    const { page, load, source } = planPage(findQuery(world.scope(binding, shards), options, rowBudget))
    return { route, strategy: page.strategy, why: page.reason, load, plan: printPlan(source) }
  } catch (error) {
    if (!(error instanceof ShardedError)) throw error
    return { error: error.code, message: error.message }
  }
}

const folder = join(__dirname, 'planning')
const files = readdirSync(folder).filter((name) => name.endsWith('.json') && !name.startsWith('writes'))

let world: OfflineWorld
beforeAll(async () => {
  await loadHash()
  world = await offlineWorld(specEntities)
})

it('has cases', () => expect(files).not.toEqual([]))

describe.each(files)('plans as specified: %s', (file) => {
  const path = join(folder, file)
  const cases: readonly Case[] = JSON.parse(readFileSync(path, 'utf8'))

  it.runIf(isUpdate)('are written anew', () => {
    writeCases(
      path,
      cases.map((one) => ({ ...one, expect: planned(world, one) })),
    )
  })

  it.skipIf(isUpdate).each(cases.map((one) => [`${one.entity} ${JSON.stringify(one.find)}`, one] as const))(
    '%s',
    (_, one) => {
      expect(JSON.parse(JSON.stringify(planned(world, one)))).toEqual(one.expect)
    },
  )
})
