import { type DataSource, type EntitySubscriberInterface, EventSubscriber, type InsertEvent } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { comparingMs, type OpenTargets, openingMs, openTargets } from '../../support/targets'
import { outcomeOf, withoutChance } from './outcome'
import { seedShop, shopEntities, shopGroups } from './seed'
import { entityWrites, otherWrites } from './writes'

/** What subscribers heard, since it was last taken: `plain` or `sharded` by who told them. */
const heard = new Map<DataSource, string[]>()

type Told = Pick<InsertEvent<object>, 'dataSource' | 'metadata'>

const note = (what: string, { dataSource, metadata }: Told): void => {
  const list = heard.get(dataSource)
  if (list) list.push(`${what} ${metadata.name}`)
  else heard.set(dataSource, [`${what} ${metadata.name}`])
}

@EventSubscriber()
class Listener implements EntitySubscriberInterface {
  beforeInsert(event: Told) {
    note('before insert of', event)
  }
  afterInsert(event: Told) {
    note('after insert of', event)
  }
  afterUpdate(event: Told) {
    note('after update of', event)
  }
  beforeRemove(event: Told) {
    note('before remove of', event)
  }
  afterRemove(event: Told) {
    note('after remove of', event)
  }
  afterSoftRemove(event: Told) {
    note('after soft remove of', event)
  }
}

/** What was told of each entity, in its order; entities of different shards may come in another. */
const takeHeard = (dataSource: DataSource): readonly string[] => {
  const list = heard.get(dataSource) ?? []
  heard.delete(dataSource)
  return list.sort()
}

const tables = [
  ...[
    'country',
    'category',
    'tag',
    'product',
    'product_tags_tag',
    'review',
    'tenant',
    'app_user',
    'profile',
    'address',
  ],
  ...['purchase', 'line', 'payment', 'audit_entry', 'setting', 'wish', 'app_user_followed_product'],
]

/** The rows of all tables, each with the name of its table. */
async function contentsOf(dataSource: DataSource): Promise<readonly string[]> {
  const texts: string[] = []
  for (const table of tables) {
    // Its table has a column more on shards, which no `*` gives.
    const columns = table === 'profile' ? 't.id, t.bio, t.born, t."userId"' : 't.*'
    const rows: readonly object[] = await dataSource.query(`SELECT ${columns} FROM ${table} t`)
    texts.push(...rows.map((row) => `${table} ${JSON.stringify(withoutChance(row))}`))
  }
  return texts.sort()
}

/** What two lists do not share; both empty where they are equal. */
function differenceOf(expected: readonly string[], given: readonly string[]) {
  const missing = [...expected]
  const added = given.filter((text) => {
    const index = missing.indexOf(text)
    if (index >= 0) missing.splice(index, 1)
    return index < 0
  })
  return { missing, added }
}

const none = { missing: [], added: [] }

describe('what a shop writes', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      onThreeNodes: true,
      entities: shopEntities,
      groups: shopGroups,
      seed: seedShop,
      subscribers: [Listener],
    })
    heard.clear()
  }, openingMs)
  afterAll(() => targets?.close())

  it.each(Object.entries({ ...entityWrites, ...otherWrites }))(
    '%s',
    async (_, script) => {
      const expected = await outcomeOf(script, targets.plain)
      const expectedEvents = takeHeard(targets.plain)
      const contents = await contentsOf(targets.plain)
      for (const { name: target, dataSource } of targets.sharded) {
        const outcome = await outcomeOf(script, dataSource)
        const events = takeHeard(dataSource)
        expect([target, outcome]).toEqual([target, expected])
        expect(differenceOf(expectedEvents, events)).toEqual(none)
        expect(differenceOf(contents, await contentsOf(dataSource))).toEqual(none)
      }
    },
    comparingMs,
  )
})
