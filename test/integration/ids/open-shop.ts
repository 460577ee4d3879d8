import { ShardedDataSource, type ShardedDataSourceOptions } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import { shop } from './shop'

export interface OpenShop {
  readonly dataSource: ShardedDataSource
  readonly nodes: ShardedDataSourceOptions['nodes']
  close(): Promise<void>
}

/** The shop's tables, empty, over two nodes. */
export async function openShop(): Promise<OpenShop> {
  const databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  const nodes = { a: { url: a }, b: { url: b } }
  const dataSource = new ShardedDataSource({ type: 'postgres', entities: [...shop], nodes })
  await dataSource.initialize()
  await dataSource.synchronize()
  const close = async (): Promise<void> => {
    await dataSource.destroy()
    await databases.drop()
  }
  return { dataSource, nodes, close }
}
