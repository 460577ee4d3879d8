import { DeleteResult, InsertResult, type ObjectLiteral, UpdateResult } from 'typeorm'

/** One result of several shards' updates: rows appended, affected summed. */
export function mergeUpdateResults(results: readonly UpdateResult[]): UpdateResult {
  const merged = new UpdateResult()
  merged.raw = results.flatMap((result): unknown[] => (Array.isArray(result.raw) ? result.raw : []))
  merged.affected = results.reduce((sum, result) => sum + (result.affected ?? 0), 0)
  merged.generatedMaps = results.flatMap((result) => result.generatedMaps)
  return merged
}

/** One result of several shards' deletes. */
export function mergeDeleteResults(results: readonly DeleteResult[]): DeleteResult {
  const merged = new DeleteResult()
  merged.raw = results.flatMap((result): unknown[] => (Array.isArray(result.raw) ? result.raw : []))
  merged.affected = results.reduce((sum, result) => sum + (result.affected ?? 0), 0)
  return merged
}

/** One result of several shards' inserts, with everything at the place of its row in the input. */
export function mergeInsertResults(
  parts: readonly { readonly places: readonly number[]; readonly result: InsertResult }[],
): InsertResult {
  const merged = new InsertResult()
  const raw: unknown[] = []
  let rawIsByRow = true
  for (const { places, result } of parts) {
    const rows: readonly unknown[] = Array.isArray(result.raw) ? result.raw : []
    if (rows.length !== places.length) rawIsByRow = false
    for (const [index, place] of places.entries()) {
      // TypeORM gives one for each row.
      merged.identifiers[place] = result.identifiers[index] as ObjectLiteral
      // As above.
      merged.generatedMaps[place] = result.generatedMaps[index] as ObjectLiteral
      raw[place] = rows[index]
    }
  }
  merged.raw = rawIsByRow
    ? raw
    : parts.flatMap(({ result }): unknown[] => (Array.isArray(result.raw) ? result.raw : []))
  return merged
}
