import type { ObjectLiteral, Repository } from 'typeorm'
import { ShardedError, ShardedRepository } from '../../src'

/** `load` has no oracle but `insert`: what is compared is what is stored then, and the error that either met. */
export async function store(repository: Repository<ObjectLiteral>, rows: ObjectLiteral[]): Promise<void> {
  if (!(repository instanceof ShardedRepository)) {
    await repository.insert(rows)
    return
  }
  try {
    await repository.load(rows)
  } catch (error) {
    throw error instanceof ShardedError && error.code === 'LOAD_INCOMPLETE' ? error.cause : error
  }
}
