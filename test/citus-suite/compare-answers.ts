import { inspect } from 'node:util'
import type { Node, SelectStmt } from '@pgsql/types'
import { fieldsOf, isNode, namesOf, someNode } from '../../src/sql/tree'

/** What a statement gave. */
export type Answer =
  | { readonly kind: 'rows'; readonly rows: readonly object[]; readonly contents: readonly string[] }
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly isCoded: boolean }

export type Verdict =
  | { readonly kind: 'exact' }
  /** The same rows; one database may give them in another order, or others of the same rank, at any time. */
  | { readonly kind: 'undetermined'; readonly why: string }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string }
  | { readonly kind: 'same error'; readonly code: string }
  | { readonly kind: 'wrong'; readonly why: string }

/** A value's text, which tells types apart. */
const textOf = (value: unknown): string =>
  inspect(value, { depth: null, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null })

const sameList = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((text, index) => text === right[index])

const sorted = (texts: readonly string[]): readonly string[] => [...texts].sort()

/** What ORDER BY says of a row, where it names columns of the answer; undefined where it names anything else. */
function rankOf(select: SelectStmt | undefined): ((row: object) => string) | undefined {
  const terms = (select?.sortClause ?? []).map((node) => {
    const by = fieldsOf(node, 'SortBy')?.node
    const place = by && fieldsOf(by, 'A_Const')?.ival?.ival
    const column = by && fieldsOf(by, 'ColumnRef')?.fields?.at(-1)
    return { place, name: column && fieldsOf(column, 'String')?.sval }
  })
  if (terms.length === 0 || terms.some(({ place, name }) => place === undefined && name === undefined)) return undefined
  return (row) =>
    textOf(
      terms.map(({ place, name }) => {
        const values = Object.entries(row)
        return place === undefined ? values.find(([key]) => key === name)?.[1] : values[place - 1]?.[1]
      }),
    )
}

function selectOf(statement: Node | undefined): SelectStmt | undefined {
  if (statement && 'InsertStmt' in statement) return selectOf(statement.InsertStmt.selectStmt)
  return statement && 'SelectStmt' in statement ? statement.SelectStmt : undefined
}

/**
 * Compares what one database and the shards gave.
 *
 * @param others what the same database gives for the same rows in other orders on its disk
 */
export async function compareAnswers(
  plain: Answer,
  sharded: Answer,
  { statement, others }: { readonly statement: Node | undefined; readonly others: () => Promise<readonly Answer[]> },
): Promise<Verdict> {
  if (sharded.kind === 'error') {
    if (sharded.isCoded && plain.kind === 'error')
      return { kind: 'same error', code: `${plain.code} / ${sharded.code}` }
    if (sharded.isCoded) return { kind: 'refused', code: sharded.code, reason: sharded.message }
    if (plain.kind === 'error' && plain.code === sharded.code) return { kind: 'same error', code: plain.code }
    const expected = plain.kind === 'error' ? `${plain.code} ${plain.message}` : `${plain.rows.length} rows`
    return { kind: 'wrong', why: `${sharded.code} ${sharded.message}, in place of ${expected}` }
  }
  if (plain.kind === 'error') return { kind: 'wrong', why: `an answer in place of ${plain.code} ${plain.message}` }
  const given = sharded.rows.map(textOf)
  const expected = plain.rows.map(textOf)
  const isSameContent = sameList(plain.contents, sharded.contents)
  if (isSameContent && sameList(given, expected)) return { kind: 'exact' }
  const select = selectOf(statement)
  const isSameSet = isSameContent && sameList(sorted(given), sorted(expected))
  if (isSameSet && !select?.sortClause) return { kind: 'exact' }
  if (
    select?.limitCount &&
    !select.sortClause &&
    given.length === expected.length &&
    plain.contents.length === sharded.contents.length
  )
    return { kind: 'undetermined', why: 'LIMIT without ORDER BY' }
  if (statement && isByChance(statement)) return { kind: 'undetermined', why: 'the time, or chance' }
  const rank = rankOf(select)
  const isSameRank = rank !== undefined && sameList(sharded.rows.map(rank), plain.rows.map(rank))
  if (isSameSet && isSameRank) return { kind: 'exact' }
  const again = await others()
  const varies = again.some(
    (other) =>
      other.kind === 'error' ||
      !sameList(other.rows.map(textOf), expected) ||
      !sameList(other.contents, plain.contents),
  )
  if (!varies) return { kind: 'wrong', why: differenceOf(expected, given, isSameContent) }
  const isReached = again.some(
    (other) =>
      other.kind === 'rows' &&
      sameList(sorted(other.rows.map(textOf)), sorted(given)) &&
      sameList(other.contents, sharded.contents),
  )
  if (isReached) return { kind: 'undetermined', why: 'one database gives this answer, too' }
  if (isSameContent && isSameRank && select?.limitCount)
    return { kind: 'undetermined', why: 'other rows of the same rank' }
  return { kind: 'undetermined', why: `varies: ${differenceOf(expected, given, isSameContent)}` }
}

/** Whether a statement asks for what two calls need not give alike. */
const isByChance = (statement: Node): boolean =>
  someNode(
    statement,
    (object) =>
      isNode(object, 'SQLValueFunction') ||
      (isNode(object, 'FuncCall') &&
        /^(?:now|random\w*|\w+_timestamp|timeofday|gen_random_uuid|uuidv\d)$/.test(
          namesOf(object.FuncCall.funcname)?.at(-1) ?? '',
        )),
  )

function differenceOf(expected: readonly string[], given: readonly string[], isSameContent: boolean): string {
  if (sameList(sorted(expected), sorted(given)) && !isSameContent) return 'other rows in the table afterwards'
  const missing = expected.filter((text) => !given.includes(text)).slice(0, 3)
  const added = given.filter((text) => !expected.includes(text)).slice(0, 3)
  if (missing.length + added.length === 0)
    return `another order or number of rows: ${given.length} in place of ${expected.length}; ${expected.slice(0, 5)} | ${given.slice(0, 5)}`
  return `${given.length} rows in place of ${expected.length}; missing ${missing.join(' ')}; added ${added.join(' ')}`
}
