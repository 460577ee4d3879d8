import 'reflect-metadata'
import { Column, Entity, ManyToOne, MoreThan, PrimaryColumn, type Relation } from 'typeorm'
import {
  hash,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedError,
  ShardedId,
  ShardKey,
} from 'typeorm-sharded'

@Entity()
@Sharded(hash({ shards: 4 }))
export class Customer {
  @ShardKey() @PrimaryColumn('bigint') id!: string
  @Column('text') name!: string
}

@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Purchase {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('bigint') customerId!: string
  @Column('int') total!: number
  @ManyToOne(() => Customer) customer!: Relation<Customer>
}

/** The options of a shop on the two databases that the check made for this project. */
export const shopOptions = (): ShardedDataSourceOptions => ({
  type: 'postgres',
  entities: [Customer, Purchase],
  nodes: { a: { url: process.env['NODE_A_URL'] ?? '' }, b: { url: process.env['NODE_B_URL'] ?? '' } },
  synchronize: true,
})

/** What a new user does first, over both nodes. Returns what a query builder, and so PostgreSQL's parser, answers. */
export async function useShop(
  dataSource: ShardedDataSource,
): Promise<{ readonly names: string[]; readonly sum: number }> {
  const customers = dataSource.getRepository(Customer)
  const purchases = dataSource.getRepository(Purchase)
  const ids = Array.from({ length: 20 }, (_, index) => String(index + 1))
  await customers.save(ids.map((id) => ({ id, name: `customer ${id.padStart(2, '0')}` })))
  await purchases.save(ids.map((customerId) => ({ customerId, total: Number(customerId) })))
  const found = await customers.find({ order: { name: 'ASC' }, take: 3 })
  const sum = await purchases
    .createQueryBuilder('p')
    .innerJoin('p.customer', 'c')
    .select('sum(p.total)::int', 'sum')
    .where({ total: MoreThan(10) })
    .getRawOne<{ sum: number }>()
  const refused = await Promise.allSettled([
    customers.insert({ name: 'nobody' }),
    dataSource.query(`INSERT INTO customer (name) VALUES ('nobody')`),
  ])
  for (const outcome of refused) {
    const error: unknown = outcome.status === 'rejected' ? outcome.reason : outcome.value
    if (!(error instanceof ShardedError) || error.code !== 'KEY_MISSING') throw error
  }
  return { names: found.map(({ name }) => name), sum: sum?.sum ?? 0 }
}

export const expected = { names: ['customer 01', 'customer 02', 'customer 03'], sum: 155 }

export async function runShop(): Promise<void> {
  const dataSource = await new ShardedDataSource(shopOptions()).initialize()
  try {
    const answer = await useShop(dataSource)
    if (JSON.stringify(answer) !== JSON.stringify(expected)) throw new Error(`Wrong answer: ${JSON.stringify(answer)}`)
  } finally {
    await dataSource.destroy()
  }
}
