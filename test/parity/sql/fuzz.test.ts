import { beforeAll, describe, expect, it } from 'vitest'
import { distributionTable } from '../../../src/routing/distribution/distribution-table'
import { parseStatement } from '../../../src/sql/parse-statement'
import { loadParser } from '../../../src/sql/parser'
import { createRng } from '../../differential/rng'
import { clauses, expressions, positions, writes } from './fuzz-grammar'
import { type Answer, answer, openSides, rolledBack } from './sides'

/** How many pairs of an expression and a place are tried beside those that meet each of both once. */
const more = Number(process.env['FUZZ_STATEMENTS'] ?? 40)
const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_128)

const refusals = ['STATEMENT_UNSUPPORTED', 'JOIN_NOT_LOCAL', 'ORDER_UNSUPPORTED', 'COLLATION_DIFFERS']

/** Each expression in some place, each place with some expression, and more pairs by chance. */
function statements(): readonly string[] {
  const rng = createRng(seed)
  const pairs = [
    ...expressions.map((expression) => [expression, rng.pick(positions)] as const),
    ...positions.map((position) => [rng.pick(expressions), position] as const),
    ...Array.from({ length: more }, () => [rng.pick(expressions), rng.pick(positions)] as const),
  ]
  return [
    ...new Set([
      ...pairs.map(([expression, position]) => position.replaceAll(/\bE\b/g, `(${expression})`)),
      ...clauses,
    ]),
  ]
}

/** The tags of all nodes of a statement, by the fields that the table tells. */
function tagsOf(tree: unknown, into: Set<string>, tag?: string): void {
  if (Array.isArray(tree)) for (const item of tree) tagsOf(item, into, tag)
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) return
  if (tag === undefined) {
    for (const [name, value] of Object.entries(tree)) tagsOf(value, into, name)
    return
  }
  into.add(tag)
  const fields: Readonly<Record<string, string>> =
    distributionTable[tag as keyof typeof distributionTable]?.fields ?? {}
  for (const [field, value] of Object.entries(tree)) {
    const kind = fields[field]
    if (kind && kind !== 'value') tagsOf(value, into, kind === 'nodes' ? undefined : kind)
  }
}

const isRefused = (given: Answer): boolean => 'error' in given && refusals.includes(given.error)

describe('statements made over the grammar', () => {
  const sides = openSides()
  beforeAll(() => loadParser())
  let refused = 0

  it('meet every node type that may run over shards', () => {
    const met = new Set<string>()
    for (const text of [...statements(), ...writes]) {
      const [statement] = parseStatement(text)?.statements ?? []
      expect({ text, parsed: statement !== undefined }).toEqual({ text, parsed: true })
      tagsOf(statement, met)
    }
    const missed = Object.entries(distributionTable)
      .filter(([tag, { rule }]) => rule !== 'refused' && !met.has(tag) && tag !== 'ParamRef')
      .map(([tag]) => tag)
    expect(missed).toEqual([])
  })

  it.each(statements())('give the answer of one database, or are refused with a code: %s', async (text) => {
    const expected = await answer(sides.plain(), text)
    expect(expected).not.toHaveProperty('error')
    for (const { name, shards, dataSource } of sides.sharded()) {
      const given = await answer(dataSource, text)
      if (shards > 1 && isRefused(given)) refused += 1
      else expect({ name, ...given }).toEqual({ name, ...expected })
    }
  })

  it.each(writes)('write what one database writes, or are refused with a code: %s', async (text) => {
    const outcome = (dataSource: Parameters<typeof rolledBack>[0]) =>
      rolledBack(dataSource, async (runner) => ({
        given: await answer(runner, `${text}`).then((one) =>
          'rows' in one ? { ...one, rows: one.rows.toSorted() } : one,
        ),
      }))
    const expected = await outcome(sides.plain())
    for (const { name, shards, dataSource } of sides.sharded()) {
      const { given } = await outcome(dataSource)
      if (shards > 1 && isRefused(given)) refused += 1
      else expect({ name, given }).toEqual({ name, ...expected })
    }
  })

  it('are seldom refused', () => {
    // Of two sides that have several shards.
    expect(refused).toBeLessThan((statements().length + writes.length) * 2 * 0.12)
  })
})
