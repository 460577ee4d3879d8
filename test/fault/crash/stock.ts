import { Column, Entity, PrimaryColumn } from 'typeorm'
import {
  GlobalUnique,
  hash,
  type LoadOptions,
  LookupIndex,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardKey,
} from '../../../src/index'
import { quiet, toldBy, type Urls } from './bank'

const shards = 4

/** A good as it was before anybody looked it up by anything but its id. */
@Entity('good')
@Sharded(hash({ shards }))
export class OldGood {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('varchar')
  code!: string

  @Column('int')
  shelf!: number
}

@Entity('good')
@Sharded(hash({ shards }), { group: 'old_good' })
export class Good {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @GlobalUnique()
  @Column('varchar')
  code!: string

  @LookupIndex()
  @Column('int')
  shelf!: number
}

/** Has no lookups, and so may be loaded in batches. */
@Entity()
@Sharded(hash({ shards }))
export class Grain {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int')
  weight!: number
}

/** So many goods that each shard has two pages of a build, and is far from one or three. */
export const goodCount = 6_000
/** Pages of a build of both lookups. */
export const pageCount = 2 * shards * 2
export const grainCount = 6_000

export const goods = () => Array.from({ length: goodCount }, (_, id) => ({ id, code: `code ${id}`, shelf: id % 500 }))
export const grains = () => Array.from({ length: grainCount }, (_, id) => ({ id, weight: id * 7 }))
export const inBatches: LoadOptions = { batch: 100 }

export const stockOptions = (
  [left, right]: Urls,
  entity: typeof Good | typeof OldGood = Good,
): ShardedDataSourceOptions => ({
  type: 'postgres',
  entities: [entity, Grain],
  nodes: { left: { url: left, poolSize: 6 }, right: { url: right, poolSize: 6 } },
  transactions: 'two-phase',
  connectTimeoutMS: 3_000,
  poolErrorHandler: () => undefined,
  logger: quiet,
})

/** What is begun, and then ended by a death. */
export type Work = 'load' | 'load in batches' | 'build'

/** Does the work; `reach` is told of each row that is read, and of each page of a build that is kept. */
export async function doWork(
  dataSource: ShardedDataSource,
  work: Work,
  reach: (point: 'row' | 'page') => void | Promise<void>,
): Promise<void> {
  async function* reading<T>(rows: readonly T[]): AsyncGenerator<T> {
    for (const row of rows) {
      await reach('row')
      yield row
    }
  }
  if (work === 'load') await dataSource.getRepository(Good).load(reading(goods()))
  else if (work === 'load in batches') await dataSource.getRepository(Grain).load(reading(grains()), inBatches)
  else await dataSource.buildLookups({ onProgress: () => void reach('page') })
}

/** Makes the tables; for a build, with the goods that were there before their lookups. */
export async function openStock(urls: Urls, work: Work): Promise<void> {
  if (work === 'build') {
    const before = await new ShardedDataSource(stockOptions(urls, OldGood)).initialize()
    await before.synchronize()
    await before.getRepository(OldGood).load(goods())
    await before.destroy()
  }
  const dataSource = await new ShardedDataSource(stockOptions(urls)).initialize()
  await dataSource.synchronize()
  await dataSource.destroy()
}

/** The good that is never written. */
export const untouched = { id: 0, code: 'code 0', shelf: 0 }

/** Changes goods until it is stopped, and never makes more of them. Returns how many writes were done. */
export function keepWriting(dataSource: ShardedDataSource): { stop(): Promise<number> } {
  let isStopped = false
  const repository = dataSource.getRepository(Good)
  const written = (async () => {
    let done = 0
    for (let turn = 0; !isStopped; turn++) {
      const id = 1 + ((turn * 37) % (goodCount - 1))
      try {
        if (turn % 3 === 0) await repository.delete({ id })
        else if (turn % 3 === 1) await repository.upsert({ id, code: `new ${turn}`, shelf: turn % 500 }, ['id'])
        else await repository.update({ id }, { code: `changed ${turn}`, shelf: (turn * 7) % 500 })
        done += 1
      } catch (error) {
        toldBy(error)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    return done
  })()
  return {
    stop: () => {
      isStopped = true
      return written
    },
  }
}
