import { type DataSource, EntityManager, type QueryRunner } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'

/** Gives the manager of the transaction that the present request is in; undefined where it is in none. */
export type CurrentManager = () => EntityManager | undefined

/**
 * The query runner of the manager that a hook names. A manager without one is no transaction's, and means none.
 *
 * @throws ShardedError CURRENT_MANAGER_INVALID where the transaction has ended, or is another data source's
 */
export function currentRunnerOf(dataSource: DataSource, hook: CurrentManager): QueryRunner | undefined {
  const manager: unknown = hook()
  if (manager === undefined || manager === null) return undefined
  if (!(manager instanceof EntityManager)) throw invalid(`a ${typeof manager}, and no entity manager`)
  const runner = ownRunnerOf(manager)
  if (manager.dataSource !== dataSource) throw invalid('a manager of another data source')
  if (runner?.isReleased) throw invalid('the manager of a transaction that has ended')
  return runner
}

/** Read from the field, not the property: a manager that follows the hook would ask it again, and again. */
const ownRunnerOf = (manager: EntityManager & { readonly ownRunner?: QueryRunner | undefined }) =>
  'ownRunner' in manager ? manager.ownRunner : manager.queryRunner

/** Makes a manager take its query runner from `current` each time that it, or TypeORM, looks for it. */
export function followCurrent(manager: EntityManager, current: () => QueryRunner | undefined): void {
  Object.defineProperty(manager, 'queryRunner', { configurable: true, enumerable: true, get: current })
}

const invalid = (what: string): ShardedError =>
  new ShardedError('CURRENT_MANAGER_INVALID', `The option currentManager gave ${what}.`, {})
