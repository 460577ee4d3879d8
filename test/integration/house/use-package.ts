import 'reflect-metadata'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'

/** What a process has loaded of what not every process needs, after each step of an application. */
export type LoadedParts = Readonly<Record<'require' | 'find' | 'query' | 'load', readonly string[]>>

const parts = ['libpg-query', 'pg-copy-streams', 'pgsql-deparser', 'statement-engine', 'xxhash-wasm']

const loaded = (): readonly string[] => {
  const files = Object.keys(require.cache)
  return parts.filter((name) => files.some((file) => new RegExp(`/node_modules/${name}/|/${name}\\.ts$`).test(file)))
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Item {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') value!: number
}

// A process of its own: `fork` this file with the URLs of two nodes.
const main = async ([a = '', b = '']: readonly string[]): Promise<LoadedParts> => {
  const afterRequire = loaded()
  const dataSource = await new ShardedDataSource({
    type: 'postgres',
    entities: [Item],
    nodes: { a: { url: a }, b: { url: b } },
    synchronize: true,
  }).initialize()
  const items = dataSource.getRepository(Item)
  await items.findOneBy({ id: 1 })
  const afterFind = loaded()
  await items.createQueryBuilder('i').select('max(i.value)', 'most').groupBy('i.value % 2').getRawMany()
  const afterQuery = loaded()
  await items.load([{ id: 1, value: 1 }])
  const afterLoad = loaded()
  await dataSource.destroy()
  return { require: afterRequire, find: afterFind, query: afterQuery, load: afterLoad }
}

void main(process.argv.slice(2)).then((answer) => process.send?.(answer))
