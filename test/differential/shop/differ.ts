import type { DataSource } from 'typeorm'
import type { ShopOperation } from './operation'
import { outcomeOf, type ShopOutcome } from './outcome'

export interface Difference {
  /** What differs: a smaller operation is to differ alike. */
  readonly kind: string
  readonly text: string
}

/** Undefined where the sharded data source gives what one database gives, or refuses. */
export async function differenceOf(
  operation: ShopOperation,
  plain: DataSource,
  sharded: DataSource,
): Promise<{
  readonly difference: Difference | undefined
  readonly expected: ShopOutcome
  readonly given: ShopOutcome
}> {
  const expected = await outcomeOf(operation, plain, plain)
  const given = await outcomeOf(operation, sharded, plain)
  return { difference: compared(expected, given), expected, given }
}

function compared(expected: ShopOutcome, given: ShopOutcome): Difference | undefined {
  if (given.isRefused) return undefined
  if (expected.error !== given.error)
    return {
      kind: `error ${expected.error} ${given.error}`,
      text: `expected ${expected.error ?? 'no error'}, given ${given.error ?? 'no error'}`,
    }
  if (expected.value !== given.value)
    return { kind: 'value', text: firstDifference(expected.value ?? '', given.value ?? '') }
  const [before = [], after = []] = [expected.contents, given.contents]
  const [missing, added] = [missingIn(before, after), missingIn(after, before)]
  if (missing.length === 0 && added.length === 0) return undefined
  return { kind: 'contents', text: `missing ${missing.join('\n')}\nadded ${added.join('\n')}` }
}

/** Lines around the first one that differs. */
function firstDifference(expected: string, given: string): string {
  const lines = [expected, given].map((text) => text.split('\n'))
  const first = lines[0]?.findIndex((line, index) => line !== lines[1]?.[index]) ?? 0
  const [one, other] = lines.map((all) => all.slice(Math.max(0, first - 12), first + 6).join('\n'))
  return `expected …\n${one}\ngiven …\n${other}`
}

/** Those of a sorted list that another has not; equal ones are counted. */
function missingIn(list: readonly string[], other: readonly string[]): readonly string[] {
  const left = [...other]
  return list.filter((text) => {
    const index = left.indexOf(text)
    if (index >= 0) left.splice(index, 1)
    return index < 0
  })
}
