import type { Predicate } from './predicate'

type Known = readonly (readonly string[] | undefined)[]
type Tuples = readonly (readonly string[])[]

/**
 * The values of all columns together that a predicate allows; undefined where it allows others too, or more than `most`.
 * Empty if the predicate is contradictory. One known conjunct is enough for AND; OR needs every branch.
 */
export function knownTuples(
  predicate: Predicate,
  { columns, most }: { readonly columns: number; readonly most: number },
): Tuples | undefined {
  const none: Known = Array.from({ length: columns }, () => undefined)
  const tuples = fold(predicate, none, most)
  return tuples && [...new Map(tuples.map((tuple) => [JSON.stringify(tuple), tuple])).values()]
}

function fold(predicate: Predicate, known: Known, most: number): Tuples | undefined {
  switch (predicate.kind) {
    case 'unknown':
    case 'slots':
      return product(known, most)
    case 'key':
      return foldAnd([predicate], known, most)
    case 'and':
      return foldAnd(predicate.of, known, most)
    case 'or':
      return foldOr(predicate.of, known, most)
  }
}

function foldAnd(parts: readonly Predicate[], known: Known, most: number): Tuples | undefined {
  const values = [...known]
  for (const part of parts) {
    if (part.kind !== 'key' || part.constraint.kind !== 'values') continue
    const before = values[part.column]
    const { keys } = part.constraint
    values[part.column] = before ? before.filter((key) => keys.includes(key)) : keys
  }
  let fewest = product(values, most)
  for (const part of parts) {
    if (part.kind !== 'and' && part.kind !== 'or') continue
    const tuples = fold(part, values, most)
    if (tuples && (!fewest || tuples.length < fewest.length)) fewest = tuples
  }
  return fewest
}

function foldOr(branches: readonly Predicate[], known: Known, most: number): Tuples | undefined {
  const all: (readonly string[])[] = []
  for (const branch of branches) {
    const tuples = fold(branch, known, most)
    if (!tuples || all.length + tuples.length > most) return undefined
    all.push(...tuples)
  }
  return all
}

function product(known: Known, most: number): Tuples | undefined {
  let tuples: Tuples = [[]]
  for (const keys of known) {
    if (!keys || tuples.length * keys.length > most) return undefined
    tuples = tuples.flatMap((tuple) => keys.map((key) => [...tuple, key]))
  }
  return tuples
}
