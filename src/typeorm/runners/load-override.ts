import type { ObjectLiteral } from 'typeorm'

/** A row as it is to be shown to TypeORM once, when it is next loaded: one that has moved, or that has the id of a new object. */
export interface LoadOverride {
  /** Of its table: entities of an inheritance share one. */
  readonly table: string
  readonly primaryKey: string
  /** Changes the loaded row: to the shard key that it had, or to no id. */
  show(row: ObjectLiteral): void
}
