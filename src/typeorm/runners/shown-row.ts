import type { ObjectLiteral } from 'typeorm'

/** A row that has moved, as it is to be shown to TypeORM once. */
export interface ShownRow {
  readonly target: unknown
  readonly primaryKey: string
  /** Gives the loaded row the shard key that it had. */
  show(row: ObjectLiteral): void
}
