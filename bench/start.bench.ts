import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../src/index'
import type { Bench } from './support/bench'
import { heapInUse, interleave } from './support/interleave'
import { medianOf, spreadOf } from './support/statistics'

const sizes = {
  full: { shards: 1024, entities: 20, rounds: 11, warmups: 2 },
  quick: { shards: 1024, entities: 20, rounds: 5, warmups: 1 },
  tiny: { shards: 8, entities: 3, rounds: 1, warmups: 0 },
}

/** Entities of ten columns and one colocation group. */
const makeEntities = (shards: number, count: number): readonly (new () => object)[] => {
  const classes: (new () => object)[] = []
  for (let index = 0; index < count; index++) {
    const target = class {}
    const { prototype } = target
    const [first] = classes
    PrimaryColumn('bigint')(prototype, 'id')
    ShardKey()(prototype, 'id')
    for (let column = 1; column < 10; column++) Column('text')(prototype, `column${column}`)
    Entity(`start_${shards}_${index}`)(target)
    if (first) Sharded({ colocatedWith: () => first })(target)
    else Sharded(hash({ shards }), { group: `start${shards}` })(target)
    classes.push(target)
  }
  return classes
}

/** `initialize()` with many shards, beyond that of plain TypeORM; the tables need not exist. */
export const start: Bench = {
  name: 'start',
  async run({ scale, databases }) {
    const { shards, entities: entityCount, ...rounds } = sizes[scale]
    const entities = [...makeEntities(shards, entityCount)]
    const open: Record<'ours' | 'plain', () => Promise<DataSource>> = {
      ours: () =>
        new ShardedDataSource({
          type: 'postgres',
          entities,
          nodes: { a: { url: databases.nodes[0] ?? '' }, b: { url: databases.nodes[1] ?? '' } },
        }).initialize(),
      plain: () => new DataSource({ type: 'postgres', entities, url: databases.oracle }).initialize(),
    }
    const opened: DataSource[] = []
    const side = (make: () => Promise<DataSource>) => async () => {
      opened.push(await make())
      await opened.pop()?.destroy()
    }
    const times = await interleave([side(open.ours), side(open.plain)], rounds)
    const memory = { ours: await memoryOf(open.ours), plain: await memoryOf(open.plain) }
    const name = `start with ${shards} shards and ${entityCount} entities`
    return [
      {
        name: `${name}, beyond plain`,
        unit: 's',
        ...spreadOf(times.map(([ours, plain]) => (ours - plain) / 1000)),
        detail: `${medianOf(times.map(([ours]) => ours)).toFixed(0)} ms − ${medianOf(times.map(([, plain]) => plain)).toFixed(0)} ms`,
        target: { atMost: 0.5 },
      },
      {
        name: `memory of ${shards} shards, beyond plain`,
        unit: 'MiB',
        ...spreadOf([(memory.ours - memory.plain) / 2 ** 20]),
        detail: `${(memory.ours / 2 ** 20).toFixed(1)} MiB − ${(memory.plain / 2 ** 20).toFixed(1)} MiB`,
      },
    ]
  },
}

/** Live bytes that an initialised data source adds. */
const memoryOf = async (open: () => Promise<DataSource>): Promise<number> => {
  const before = heapInUse()
  const dataSource = await open()
  const after = heapInUse()
  await dataSource.destroy()
  return after - before
}
