// The package is imported by its name; the entities were compiled to CommonJS, which an ES module may import.
import { ShardedDataSource } from 'typeorm-sharded'
import shop from './out/shop.js'

const dataSource = new ShardedDataSource(shop.shopOptions())
await dataSource.initialize()
const answer = await shop.useShop(dataSource)
await dataSource.destroy()
if (JSON.stringify(answer) !== JSON.stringify(shop.expected)) throw new Error(`Wrong answer: ${JSON.stringify(answer)}`)
console.log('ok')
