import type { EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm'

/** An UPDATE of one row that TypeORM is about to send: the row's primary key, and the values that it sets. */
export interface RowUpdate {
  readonly metadata: EntityMetadata
  readonly criteria: unknown
  readonly values: ObjectLiteral
}

type BeforeUpdate = (update: RowUpdate) => Promise<void>

const waiting = new WeakMap<QueryRunner, BeforeUpdate>()

/** While the work runs, each UPDATE that TypeORM sends on the query runner waits for `before`. */
export async function withBeforeUpdate<T>(
  runner: QueryRunner | undefined,
  before: BeforeUpdate | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (!runner || !before) return work()
  waiting.set(runner, before)
  try {
    return await work()
  } finally {
    waiting.delete(runner)
  }
}

/** What an UPDATE on the query runner waits for, if anything. */
export const beforeUpdateOn = (runner: QueryRunner | undefined): BeforeUpdate | undefined =>
  runner && waiting.get(runner)
