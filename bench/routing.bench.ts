import { In, MoreThan } from 'typeorm'
import { routePredicate } from '../src/routing/route'
import { findPredicate } from '../src/typeorm/find/find-predicate'
import type { Bench } from './support/bench'
import { openSharded } from './support/data-sources'
import { microseconds } from './support/interleave'
import { Item } from './support/item'

const sizes = {
  full: { operations: 100_000, rounds: 11, warmups: 3 },
  quick: { operations: 20_000, rounds: 7, warmups: 2 },
  tiny: { operations: 50, rounds: 1, warmups: 0 },
}

const simple = (index: number) => ({ id: String(index + 1) })
const list = (index: number) => ({ id: In([1, 2, 3, 4, 5].map((step) => String(index + step))), amount: MoreThan(10) })
/** An OR of ten branches, two conditions each. */
const factors = (index: number) =>
  Array.from({ length: 10 }, (_, branch) => ({ id: String(index + branch), name: 'a name' }))

/** From the condition of a find to its shards, without anything being sent. */
export const routing: Bench = {
  name: 'routing',
  async run({ scale, databases }) {
    const { operations, ...rounds } = sizes[scale]
    const dataSource = await openSharded(databases.nodes, { synchronize: false })
    const { runtime } = dataSource
    const binding = runtime.bindingOf(Item)
    if (!binding) throw new Error('Item is not sharded.')
    const bindingOf = (target: unknown) => runtime.bindingOf(target)
    const route = (where: unknown) => routePredicate(binding, findPredicate(binding, where, bindingOf))
    const target = { atMost: 10 }
    const measures = [
      microseconds({ name: 'routing of a find, one key', operations, target }, (i) => route(simple(i)), rounds),
      microseconds({ name: 'routing of a find, IN of 5 keys', operations, target }, (i) => route(list(i)), rounds),
      microseconds({ name: 'routing of a find, 20 factors', operations, target }, (i) => route(factors(i)), rounds),
    ]
    await dataSource.destroy()
    return measures
  },
}
