import { InsertResult, type ObjectLiteral } from 'typeorm'

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
