import { ShardedDataSource } from 'typeorm-sharded'
import { expected, shopOptions, useShop } from './shop'

it('answers over two nodes', async () => {
  const dataSource = await new ShardedDataSource(shopOptions()).initialize()
  try {
    expect(await useShop(dataSource)).toEqual(expected)
  } finally {
    await dataSource.destroy()
  }
}, 30_000)
