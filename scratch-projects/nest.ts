import 'reflect-metadata'
import { Injectable, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { InjectDataSource, InjectRepository, TypeOrmModule } from '@nestjs/typeorm'
import type { DataSource, Repository } from 'typeorm'
import { ShardedDataSource, type ShardedDataSourceOptions, ShardedRepository } from 'typeorm-sharded'
import { Customer, expected, Purchase, shopOptions, useShop } from './shop'

@Injectable()
class Shop {
  constructor(
    @InjectRepository(Customer) readonly customers: Repository<Customer>,
    @InjectDataSource() readonly dataSource: DataSource,
  ) {}

  async use(): Promise<void> {
    if (!(this.dataSource instanceof ShardedDataSource)) throw new Error('Nest made another data source.')
    if (!(this.customers instanceof ShardedRepository)) throw new Error('Nest gave another repository.')
    const answer = await useShop(this.dataSource)
    if (JSON.stringify(answer) !== JSON.stringify(expected)) throw new Error(`Wrong answer: ${JSON.stringify(answer)}`)
    if ((await this.customers.count()) !== 20) throw new Error('Wrong count.')
  }
}

@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      useFactory: () => shopOptions(),
      dataSourceFactory: async (options) =>
        new ShardedDataSource(options as unknown as ShardedDataSourceOptions).initialize(),
    }),
    TypeOrmModule.forFeature([Customer, Purchase]),
  ],
  providers: [Shop],
})
class Application {}

const main = async (): Promise<void> => {
  const application = await NestFactory.createApplicationContext(Application, { logger: ['error'] })
  await application.get(Shop).use()
  await application.close()
  console.log('ok')
}

void main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
