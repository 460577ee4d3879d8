import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { takePlace } from '../../planning/row-places'
import type { WriteAnswer } from '../../query/write-query'

/** The answers of shards as that of one statement. */
export function uniteAnswers(answer: WriteAnswer, results: readonly QueryResult[]): QueryResult {
  const [own] = results
  if (answer.kind === 'own' && own) return own
  const result = new QueryResult()
  result.records = rowsInOrder(answer, results)
  // Of several statements in one text TypeORM tells no number.
  const counts = results.flatMap(({ affected }) => affected ?? [])
  if (counts.length > 0 || !own) result.affected = counts.reduce((sum, count) => sum + count, 0)
  result.raw = answer.kind === 'update' ? [result.records, result.affected] : result.records
  return result
}

function rowsInOrder(answer: WriteAnswer, results: readonly QueryResult[]): unknown[] {
  const rows = results.flatMap(({ records }) => records)
  if (answer.kind === 'told-places')
    return rows
      .map((row) => takePlace(row, answer.column))
      .sort((a, b) => a.place - b.place)
      .map(({ row }) => row)
  if (answer.kind !== 'values') return rows
  const places = answer.places.flat()
  const isWhole = results.every((result, index) => result.records.length === answer.places[index]?.length)
  if (!isWhole) return rows
  const ordered: unknown[] = []
  for (const [index, row] of rows.entries()) ordered[places[index] ?? index] = row
  // The place of a row that conflicts with one of another shard is empty: it was sent to none.
  return ordered.filter(() => true)
}
