import type { EntityManager } from 'typeorm'
import { GuardedBroadcaster } from './guarded-broadcaster'
import type { ShownRow } from './shown-row'

/** Runs a save that is to see these rows as they are shown; on a query runner of its own where the manager has none. */
export async function showRows<T>(
  manager: EntityManager,
  rows: readonly ShownRow[],
  save: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  if (rows.length === 0) return save(manager)
  const runner = manager.queryRunner ?? manager.dataSource.createQueryRunner()
  const { broadcaster } = runner
  if (broadcaster instanceof GuardedBroadcaster) broadcaster.showBefore(rows)
  if (manager.queryRunner) return save(manager)
  try {
    return await save(runner.manager)
  } finally {
    await runner.release()
  }
}
