import { ShardedDataSource } from 'typeorm-sharded'
import { expected, shopOptions, useShop } from './shop'

/** Applications' tests do so at any time: what the package loads late must fit what it has loaded, and stay loaded. */
const resetModules = (): void => {
  if (typeof jest !== 'undefined') jest.resetModules()
}

it('answers over two nodes', async () => {
  resetModules()
  const dataSource = await new ShardedDataSource(shopOptions()).initialize()
  resetModules()
  try {
    expect(await useShop(dataSource)).toEqual(expected)
  } finally {
    await dataSource.destroy()
  }
}, 30_000)
