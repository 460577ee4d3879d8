import 'reflect-metadata'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../../src/index'

/** Name and url of each node, in the order in which the options list them. */
export type NodeList = readonly (readonly [name: string, url: string])[]

/** What a process is to do: start, and when it has said so and the tables are there, save. */
export type RowsWanted = { readonly start: NodeList } | { readonly save: number }

@Entity()
@Sharded(hash({ shards: 6 }))
export class Parcel {
  @ShardKey()
  @PrimaryColumn('bigint')
  @ShardedId()
  id!: string

  @Column('text')
  text!: string
}

@Entity()
export class Depot {
  @PrimaryColumn('text')
  name!: string
}

export const parcels = (nodes: NodeList): ShardedDataSource =>
  new ShardedDataSource({
    type: 'postgres',
    entities: [Parcel, Depot],
    nodes: Object.fromEntries(nodes.map(([name, url]) => [name, { url }])),
  })

let dataSource: ShardedDataSource | undefined

async function act(wanted: RowsWanted): Promise<readonly string[]> {
  if ('start' in wanted) {
    dataSource = await parcels(wanted.start).initialize()
    return []
  }
  if (!dataSource) throw new Error('It was not started.')
  await dataSource.getRepository(Depot).save({ name: String(process.pid) })
  const rows = Array.from({ length: wanted.save }, (_, index) => ({ text: `${process.pid} ${index}` }))
  const ids = (await dataSource.getRepository(Parcel).save(rows)).map(({ id }) => id)
  await dataSource.destroy()
  return ids
}

process.on('message', (wanted: RowsWanted) => {
  void act(wanted).then(
    (ids) => process.send?.({ ids }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
