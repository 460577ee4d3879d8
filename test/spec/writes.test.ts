import 'reflect-metadata'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ShardedError } from '../../src/errors/sharded-error'
import { loadHash } from '../../src/functions/hash'
import type { Explanation } from '../../src/planning/explain-plan'
import type { WritePlan } from '../../src/planning/write-plan'
import { decoded } from './support/decoded'
import { type CriteriaWrite, criteriaPlan, offlineEngine, type WriteSetting } from './support/offline-engine'
import { type OfflineWorld, offlineWorld } from './support/offline-world'
import { printStatement } from './support/print-plan'
import { printWritePlan } from './support/print-write-plan'
import { isUpdate, writeCases } from './support/write-cases'
import { writtenEntities } from './support/written-entities'

/** One write, as SQL or by the criteria of a repository, and all of its plan. `UPDATE_SPECS=1` writes the plans anew. */
interface Case extends WriteSetting {
  readonly sql?: string
  readonly parameters?: readonly unknown[]
  readonly by?: CriteriaWrite
  /** What the statements of a sequence answer, sequence after sequence. */
  readonly answers?: readonly (readonly object[])[][]
  readonly expect?: unknown
}

async function planned(world: OfflineWorld, one: Case): Promise<unknown> {
  try {
    const { shards, reason, plan, ...explained } = await planOf(world, one)
    const route = { shards: shards.join(' '), reason }
    // The parts of a statement that are read first decide what follows.
    return plan ? { ...route, plan: printWritePlan(plan, one.answers) } : { ...route, ...explained }
  } catch (error) {
    if (!(error instanceof ShardedError)) throw error
    return { error: error.code, message: error.message }
  }
}

async function planOf(world: OfflineWorld, { sql, parameters = [], by, ...setting }: Case) {
  if (by) {
    const { shards, reason, plan } = criteriaPlan(world, decoded(by) as CriteriaWrite, setting)
    return { shards: shards.map(({ name }) => name), reason, plan }
  }
  const { engine, context } = offlineEngine(world, setting)
  const { shards, reason, plan, statements, steps } = await engine.explain(sql ?? '', parameters, context)
  if (!plan) return { shards, reason, plan, statements: statements.map(printStatement), steps }
  if (!isWritePlan(plan)) throw new RangeError('A write has the plan of a write.')
  return { shards, reason, plan }
}

const isWritePlan = (plan: Explanation['plan']): plan is WritePlan =>
  plan !== undefined && ['write', 'move', 'transaction', 'lookups', 'sequence'].includes(plan.kind)

const folder = join(__dirname, 'planning')
const files = readdirSync(folder).filter((name) => name.startsWith('writes'))

let world: OfflineWorld
beforeAll(async () => {
  await loadHash()
  world = await offlineWorld(writtenEntities)
})

it('has cases', () => expect(files).not.toEqual([]))

describe.each(files)('plans of writes as specified: %s', (file) => {
  const path = join(folder, file)
  const cases: readonly Case[] = JSON.parse(readFileSync(path, 'utf8'))

  it.runIf(isUpdate)('are written anew', async () => {
    const written: Case[] = []
    for (const one of cases) written.push({ ...one, expect: await planned(world, one) })
    writeCases(path, written)
  })

  it
    .skipIf(isUpdate)
    .each(cases.map(({ expect: _, ...asked }, index) => [JSON.stringify(asked), cases[index] as Case] as const))(
    '%s',
    async (_, one) => {
      expect(JSON.parse(JSON.stringify(await planned(world, one)))).toEqual(one.expect)
    },
  )
})
