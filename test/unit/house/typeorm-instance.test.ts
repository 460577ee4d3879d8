import 'reflect-metadata'
import * as typeorm from 'typeorm'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner.js'
import { describe, expect, it } from 'vitest'

@typeorm.Entity()
class Sample {
  @typeorm.PrimaryColumn()
  id!: string

  @typeorm.Column()
  at!: Date
}

/** Tests and sources must see one TypeORM: two copies would have two decorator storages. */
describe('TypeORM under test', () => {
  it('is the same module by import, by import() and by require()', async () => {
    const dynamic = await import('typeorm')
    const required: typeof typeorm = require('typeorm')
    expect(dynamic.DataSource).toBe(typeorm.DataSource)
    expect(required.DataSource).toBe(typeorm.DataSource)
  })

  it('makes query runners of the class that a deep import gives', () => {
    const dataSource = new typeorm.DataSource({ type: 'postgres' })
    expect(dataSource.createQueryRunner()).toBeInstanceOf(PostgresQueryRunner)
  })

  it('reads the types of decorated properties', () => {
    expect(Reflect.getMetadata('design:type', Sample.prototype, 'at')).toBe(Date)
  })
})
