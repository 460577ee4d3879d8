import { collations } from './collations'
import type { ColumnSpec, EntitySpec, Kind } from './columns'
import { primaryOf } from './columns'
import { conditions } from './generate-conditions'
import { loose } from './generate-expressions'
import { columnAt } from './generate-selects'
import { poolOf } from './generate-where'
import type { Clause, Fragment, RawComparison, Sql } from './operation'
import type { Rng } from './rng'
import { sqlSource, tableName } from './sources'
import { clause, fixed, fragment, inOrder, query } from './sql-text'

/** A column of every side. */
interface Slot {
  readonly kind: Kind
  /** Of every side; else each column brings its own, which may be at odds. */
  readonly collation: string | undefined
}

/** A UNION, INTERSECT or EXCEPT of several, as a statement or within one. */
export function makeSetOperation(rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Sql {
  const tables = Array.from({ length: rng.pick([2, 2, 2, 3]) }, (_, index) =>
    index === 0 || rng.oneIn(2) ? spec : rng.pick(known),
  )
  // What is left open by collations at odds is a mistake where it is sorted or compared.
  const isWithin = rng.oneIn(3)
  const slots = slotsOf(rng, tables, isWithin)
  const sides = tables.map((table, index) => sideOf(rng, table, slots, index))
  const united = unite(rng, sides)
  const order = slots.map((_, index) => {
    const name = rng.oneIn(2) ? String(index + 1) : `"${columnAt(index)}"`
    return fragment(`${name} ${rng.pick(['ASC', 'DESC', 'ASC NULLS FIRST', 'DESC NULLS LAST'])}`)
  })
  const names = slots.map((_, index) => columnAt(index))
  const looseNames = names.filter((_, index) => loose.has(slots[index]?.kind ?? 'int'))
  const compare: RawComparison = { rows: 'ordered', close: [], loose: looseNames }
  const made = (clauses: readonly Clause[], how: RawComparison = compare): Sql => query(spec, 'set', clauses, how)
  const page = [
    clause('LIMIT', '', rng.oneIn(3) ? [fragment('?', [rng.pick([0, 1, 3, 10])])] : []),
    clause('OFFSET', '', rng.oneIn(4) ? [fragment(String(rng.pick([0, 1, 4])))] : []),
  ]
  if (!isWithin)
    return rng.oneIn(4)
      ? made(united, { ...compare, rows: 'set' })
      : made([...united, clause('ORDER BY', ', ', order, true), ...page])
  return rng.weighted<Sql>([
    [
      2,
      () =>
        made([
          fixed('SELECT "x".*, count(*) AS "n" FROM ('),
          ...united,
          fixed(`) "x" GROUP BY ${names.map((_, index) => index + 1).join(', ')}`),
          clause('ORDER BY', ', ', order, true),
          ...page,
        ]),
    ],
    [
      1,
      () =>
        made(
          [
            fixed('WITH "x" AS ('),
            ...united,
            fixed(') SELECT (SELECT count(*) FROM "x") AS "n", count(*) AS "m" FROM "x"'),
            clause('WHERE', ' AND ', [fragment('"c0" IS NOT NULL')]),
          ],
          inOrder,
        ),
    ],
    [
      1,
      () => {
        const source = sqlSource(spec, 'o')
        const ids = primaryOf(spec).map(source.ref)
        const [slot] = slots
        const column = slot && columnsOf(spec, slot)[0]
        if (slots.length > 1 || !column) return made([...united, clause('ORDER BY', ', ', order, true), ...page])
        return made(
          [
            fixed(`SELECT ${ids.join(', ')} FROM ${tableName(spec)} "o" WHERE ${source.ref(column)} IN (`),
            ...united,
            fixed(`) ORDER BY ${ids.join(', ')}`),
          ],
          inOrder,
        )
      },
    ],
  ])
}

const columnsOf = ({ columns }: EntitySpec, { kind }: Slot): readonly ColumnSpec[] =>
  columns.filter((column) => column.kind === kind)

/** Kinds that all tables have. Each table of enums has a type of its own. */
function slotsOf(rng: Rng, tables: readonly EntitySpec[], isCollated: boolean): readonly Slot[] {
  const [first] = tables
  const kinds = [...new Set((first?.columns ?? []).map(({ kind }) => kind))].filter(
    (kind) =>
      tables.every((table) => table.columns.some((column) => column.kind === kind)) &&
      (kind !== 'enum' || new Set(tables).size === 1),
  )
  return Array.from({ length: 1 + rng.int(2) }, (): Slot => {
    const kind = rng.pick(kinds)
    return { kind, collation: kind === 'text' && (isCollated || rng.oneIn(2)) ? rng.pick(collations) : undefined }
  })
}

/** One side, with its columns named as those of the first. */
function sideOf(rng: Rng, spec: EntitySpec, slots: readonly Slot[], side: number): readonly Clause[] {
  const source = sqlSource(spec, 't')
  const cells = slots.map((slot, index): Fragment => {
    const column = rng.pick(columnsOf(spec, slot))
    const cell = cellOf(rng, source.ref(column), column, side > 0)
    const isColumn = cell.sql === source.ref(column)
    const collated = isColumn && slot.collation !== undefined ? `${cell.sql} COLLATE ${slot.collation}` : cell.sql
    return fragment(`${collated} AS "${columnAt(index)}"`, cell.of)
  })
  const where = clause('WHERE', ' AND ', conditions(rng, source))
  const from = fixed(`FROM ${tableName(spec)} "t"`)
  const select = (word: string): Clause => clause(word, ', ', cells, true)
  const page = `ORDER BY ${primaryOf(spec).map(source.ref).join(', ')} LIMIT ?`
  return rng
    .weighted<readonly Clause[]>([
      [6, () => [select('SELECT'), from, where]],
      [1, () => [select('SELECT DISTINCT'), from, where]],
      [1, () => [fixed('('), select('SELECT'), from, where, fixed(page, [rng.int(12)]), fixed(')')]],
    ])
    .map((one) => ({ ...one, side }))
}

/** A column, or a value in its place where another side tells its type. */
const cellOf = (rng: Rng, name: string, column: ColumnSpec, mayBeValue: boolean): Fragment =>
  rng.weighted<Fragment>([
    [12, () => fragment(name)],
    [mayBeValue ? 1 : 0, () => fragment('NULL')],
    [mayBeValue && column.kind === 'int' ? 1 : 0, () => fragment(String(rng.int(6)))],
    [mayBeValue && column.kind === 'text' ? 1 : 0, () => fragment(rng.pick(["'a'", "''"]))],
    [mayBeValue && simple.has(column.kind) ? 1 : 0, () => fragment('?', [rng.pick(poolOf(column))])],
  ])

const simple = new Set<Kind>(['int', 'text', 'bigint', 'uuid', 'date'])

const words = ['UNION', 'UNION ALL', 'INTERSECT', 'INTERSECT ALL', 'EXCEPT', 'EXCEPT ALL'] as const

/** Puts words between the sides; of three, one pair may stand in brackets. */
function unite(rng: Rng, [first = [], ...others]: readonly (readonly Clause[])[]): readonly Clause[] {
  const [second = [], third] = others
  const word = (side: number): Clause => ({ ...fixed(rng.pick(words)), side })
  if (!third) return [...first, word(1), ...second]
  return rng.weighted<readonly Clause[]>([
    [2, () => [...first, word(1), ...second, word(2), ...third]],
    [1, () => [fixed('('), ...first, word(1), ...second, fixed(')'), word(2), ...third]],
    [
      1,
      () => [...first, word(1), { ...fixed('('), side: 1 }, ...second, word(2), ...third, { ...fixed(')'), side: 1 }],
    ],
  ])
}
