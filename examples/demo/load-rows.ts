import type { ObjectLiteral } from 'typeorm'
import type { ShardedRepository } from '../../src'
import { startProgress } from './progress'
import { count, field } from './screen'

const batchSize = 4_000

/** Inserts rows in batches through the repository, which sends each row to the shard of its key. */
export const loadRows = async <Row extends ObjectLiteral>(
  label: string,
  repository: ShardedRepository<Row>,
  rows: readonly Row[],
): Promise<void> => {
  const started = performance.now()
  const progress = startProgress(label, rows.length)
  try {
    for (let start = 0; start < rows.length; start += batchSize) {
      const batch = rows.slice(start, start + batchSize)
      await repository.insert(batch)
      progress.add(batch.length)
    }
  } finally {
    progress.end()
  }
  const seconds = (performance.now() - started) / 1000
  field(
    '',
    `${count(rows.length)} rows in ${seconds.toFixed(1)} s, ${count(Math.round(rows.length / seconds))} a second`,
  )
}
