import type { ObjectLiteral } from 'typeorm'

/** A row as it is to be shown to TypeORM once, when it is next loaded: one that has moved, or that has the id of a new object. */
export interface LoadOverride {
  readonly target: unknown
  readonly primaryKey: string
  /** Changes the loaded row: to the shard key that it had, or to no id. */
  show(row: ObjectLiteral): void
}
