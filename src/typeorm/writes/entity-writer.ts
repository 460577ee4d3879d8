import type { InsertResult, ObjectLiteral, QueryRunner, SelectQueryBuilder } from 'typeorm'

/**
 * What writes call of TypeORM's entity manager, for entities that are known at run time only: TypeORM's own types ask for the
 * class of each. A manager is one without a cast, since these are methods.
 */
export interface EntityWriter {
  readonly queryRunner?: QueryRunner
  insert(target: unknown, rows: ObjectLiteral | ObjectLiteral[]): Promise<InsertResult>
  upsert(target: unknown, rows: ObjectLiteral | ObjectLiteral[], options: unknown): Promise<InsertResult>
  clear(target: unknown, options?: { cascade?: boolean }): Promise<void>
  preload(target: unknown, like: ObjectLiteral): Promise<ObjectLiteral | undefined>
  merge(target: unknown, into: ObjectLiteral, ...from: ObjectLiteral[]): ObjectLiteral
  save(target: unknown, entities: readonly ObjectLiteral[], options?: object): Promise<unknown>
  remove(target: unknown, entities: readonly ObjectLiteral[], options?: object): Promise<unknown>
  softRemove(target: unknown, entities: readonly ObjectLiteral[], options?: object): Promise<unknown>
  recover(target: unknown, entities: readonly ObjectLiteral[], options?: object): Promise<unknown>
  createQueryBuilder(): SelectQueryBuilder<ObjectLiteral>
}
