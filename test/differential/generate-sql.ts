import { type ColumnSpec, type EntitySpec, keysOf, primaryOf, specs } from './columns'
import type { Data, DataObject } from './data'
import { conditions } from './generate-conditions'
import { columnAt, type JoinModel, makeSelectModel, type SelectModel } from './generate-selects'
import { poolOf } from './generate-where'
import { makeRows, mustBeFresh } from './generate-writes'
import type { Clause, Fragment, Sql } from './operation'
import type { Rng } from './rng'
import { columnName, type Source, sqlSource, tableName } from './sources'

const fragment = (sql: string, of: readonly Data[] = []): Fragment => ({ sql, of })
const clause = (head: string, between: string, parts: readonly Fragment[], isFixed = false): Clause => ({
  head,
  between,
  parts,
  ...(isFixed && { isFixed }),
})

/** A select given as SQL. */
export function makeSqlSelect(rng: Rng, spec: EntitySpec): Sql {
  return rng.weighted<Sql>([
    [8, () => written(rng, makeSelectModel(rng, spec, sqlSource))],
    [2, () => nested(rng, spec)],
  ])
}

function written(rng: Rng, model: SelectModel): Sql {
  const { source, join, selects, orderBy, limit, offset, compare } = model
  const distinct = model.isDistinct
    ? 'DISTINCT'
    : model.distinctOn.length > 0
      ? `DISTINCT ON (${model.distinctOn.map(({ sql }) => sql).join(', ')})`
      : ''
  const page = (word: string, value: number | undefined): Clause =>
    clause(word, '', value === undefined ? [] : [rng.oneIn(2) ? fragment('?', [value]) : fragment(String(value))], true)
  return {
    do: 'sql',
    entity: source.spec.name,
    method: 'sql.select',
    isWrite: false,
    compare,
    clauses: [
      clause(
        `SELECT ${distinct}`,
        ', ',
        selects.map(({ sql, of }, index) => fragment(`${sql} AS "${columnAt(index)}"`, of)),
        true,
      ),
      clause('FROM', '', [fragment(`${tableName(source.spec)} "${source.alias}"`)], true),
      ...(join ? [clause('', '', [joinText(rng, source, join)], true)] : []),
      clause('WHERE', ' AND ', model.where),
      clause('GROUP BY', ', ', model.groupBy, true),
      clause('HAVING', ' AND ', model.having),
      clause(
        'ORDER BY',
        ', ',
        orderBy.map(({ sql, direction, nulls = '' }) => fragment(`${sql} ${direction} ${nulls}`.trim())),
        true,
      ),
      page('LIMIT', limit),
      page('OFFSET', offset),
    ],
  }
}

/** Along the foreign key, and along the shard key where that is another column. */
function joinText(
  rng: Rng,
  source: Source,
  { source: joined, isInner, foreignKey, isToMany, on }: JoinModel,
): Fragment {
  const [parent, child] = isToMany ? [source, joined] : [joined, source]
  const [id] = primaryOf(parent.spec)
  const quoted = (alias: string, name: string): string => `"${alias}"."${name}"`
  const links = [`${quoted(child.alias, foreignKey)} = ${quoted(parent.alias, id?.path ?? '')}`]
  const [key] = keysOf(parent.spec)
  if (key && key !== id && rng.oneIn(2)) links.push(`${child.ref(key)} = ${parent.ref(key)}`)
  const text = [...links, ...on.map(({ sql }) => sql)].join(' AND ')
  return fragment(
    `${isInner ? 'JOIN' : 'LEFT JOIN'} ${tableName(joined.spec)} "${joined.alias}" ON ${text}`,
    on.flatMap(({ of }) => of),
  )
}

/** Subqueries and common table expressions. */
function nested(rng: Rng, spec: EntitySpec): Sql {
  const source = sqlSource(spec, 't')
  const table = tableName(spec)
  const ids = primaryOf(spec).map(source.ref)
  const where = conditions(rng, source)
  const select = clause(
    'SELECT',
    ', ',
    ids.map((one, index) => fragment(`${one} AS "${columnAt(index)}"`)),
    true,
  )
  const order = clause(
    'ORDER BY',
    ', ',
    ids.map((one) => fragment(one)),
    true,
  )
  const sql = (clauses: readonly Clause[]): Sql => ({
    do: 'sql',
    entity: spec.name,
    method: 'sql.nested',
    isWrite: false,
    compare: { rows: 'ordered', close: [], loose: [] },
    clauses,
  })
  const from = clause('FROM', '', [fragment(`${table} "t"`)], true)
  return rng.weighted<Sql>([
    [
      2,
      () =>
        sql([
          select,
          from,
          clause('WHERE', ' AND ', [
            fragment(
              `"t"."count" ${rng.pick(['>=', '<', '='])} (SELECT ${rng.pick(['max', 'min', 'avg'])}("s"."count") FROM ${table} "s")`,
            ),
            ...where,
          ]),
          order,
        ]),
    ],
    [
      2,
      () => {
        const one = fragment(`SELECT "x"."c1", count(*) AS "n" FROM (SELECT "t"."count" AS "c1" FROM ${table} "t"`)
        return sql([
          clause('', '', [one], true),
          clause('WHERE', ' AND ', where),
          clause('', '', [fragment(') "x" GROUP BY "x"."c1" ORDER BY "x"."c1"')], true),
        ])
      },
    ],
    [
      2,
      () =>
        sql([
          clause('', '', [fragment(`WITH "x" AS (SELECT * FROM ${table} "t"`)], true),
          clause('WHERE', ' AND ', where),
          clause('', '', [fragment(`) SELECT "count", count(*) AS "n" FROM "x" GROUP BY 1 ORDER BY 1`)], true),
        ]),
    ],
    [
      spec.children ? 3 : 0,
      () => {
        const [id] = ids
        const child = specs[spec.children?.entity ?? 'Item']
        const inner = sqlSource(child, 'c')
        const more = conditions(rng, inner).slice(0, 1)
        return sql([
          select,
          from,
          clause('WHERE', ' AND ', [
            fragment(
              `${rng.oneIn(3) ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${tableName(child)} "c" WHERE ${[
                `"c"."${spec.children?.foreignKey}" = ${id}`,
                ...more.map((one) => one.sql),
              ].join(' AND ')})`,
              more.flatMap((one) => one.of),
            ),
            ...where,
          ]),
          order,
        ])
      },
    ],
    [
      1,
      () =>
        sql([
          select,
          from,
          clause('WHERE', ' AND ', [
            fragment(`${ids[0]} IN (SELECT ${ids[0]?.replace('"t"', '"s"')} FROM ${table} "s" WHERE "s"."count" > ?)`, [
              rng.int(5),
            ]),
          ]),
          order,
        ]),
    ],
  ])
}

const writable = (spec: EntitySpec): readonly ColumnSpec[] =>
  spec.columns.filter(
    (column) =>
      !column.isKey &&
      !column.isPrimary &&
      !spec.bound.includes(column.path) &&
      ['int', 'bigint', 'numeric', 'text', 'date', 'boolean', 'uuid', 'enum', 'bytes', 'inet'].includes(column.kind) &&
      column.path !== 'name',
  )

/** An insert, an update or a delete given as SQL. */
export function makeSqlWrite(rng: Rng, spec: EntitySpec): Sql {
  const source = sqlSource(spec, 't')
  const sql = (method: string, clauses: readonly Clause[]): Sql => ({
    do: 'sql',
    entity: spec.name,
    method: `sql.${method}`,
    isWrite: true,
    compare: { rows: 'set', close: [], loose: [] },
    clauses,
  })
  const returning = clause(
    'RETURNING',
    ', ',
    rng.oneIn(2) ? [] : primaryOf(spec).map((column) => fragment(source.ref(column))),
  )
  const where = conditions(rng, source)
  return rng.weighted<Sql>([
    [
      4,
      () => {
        const column = rng.pick(writable(spec))
        const name = `"${columnName(column.path)}"`
        const set = [fragment(`${name} = ?`, [column.nullable && rng.oneIn(5) ? null : rng.pick(poolOf(column))])]
        if (rng.oneIn(3) && spec.columns.some(({ path }) => path === 'name'))
          set.push(fragment('"name" = "t"."name" || \'+\''))
        return sql('update', [
          clause('UPDATE', '', [fragment(`${tableName(spec)} "t"`)], true),
          clause('SET', ', ', set, true),
          clause('WHERE', ' AND ', where),
          returning,
        ])
      },
    ],
    [
      2,
      () =>
        sql('delete', [
          clause('DELETE FROM', '', [fragment(`${tableName(spec)} "t"`)], true),
          clause('WHERE', ' AND ', [...where, fragment('"t"."count" > ?', [rng.int(8)])], true),
          returning,
        ]),
    ],
    [3, () => sql('insert', insertClauses(rng, spec))],
  ])
}

function insertClauses(rng: Rng, spec: EntitySpec): readonly Clause[] {
  const columns = [
    ...spec.columns.filter((column) => column.isPrimary || column.isKey || spec.bound.includes(column.path)),
    ...spec.columns.filter(({ path }) => path === 'count' || path === 'name' || path === 'word'),
  ]
  const rows = makeRows(rng, spec, 1 + rng.int(3), { isFresh: mustBeFresh(spec) || rng.oneIn(2) })
  const table = tableName(spec)
  const conflict = spec.columns.filter((column) => column.isPrimary || column.isKey).map(({ path }) => `"${path}"`)
  const resolution = spec.parent
    ? ''
    : rng.pick([
        '',
        `ON CONFLICT (${conflict.join(', ')}) DO NOTHING`,
        `ON CONFLICT (${conflict.join(', ')}) DO UPDATE SET "count" = EXCLUDED."count"`,
      ])
  const cellOf = (row: DataObject, { path }: ColumnSpec): Data => row[path] ?? null
  // TypeORM writes the first version itself.
  const isVersioned = spec.columns.some(({ path }) => path === 'instant')
  const names = [...columns.map(({ path }) => path), ...(isVersioned ? ['version'] : [])]
  return [
    clause(
      `INSERT INTO ${table} (${names.map((name) => `"${name}"`).join(', ')}) VALUES`,
      ', ',
      rows.map((row) =>
        fragment(`(${names.map(() => '?').join(', ')})`, [
          ...columns.map((column) => cellOf(row, column)),
          ...(isVersioned ? [1] : []),
        ]),
      ),
    ),
    clause('', '', resolution === '' ? [] : [fragment(resolution)]),
    clause('RETURNING', ', ', rng.oneIn(2) ? [] : primaryOf(spec).map(({ path }) => fragment(`"${path}"`))),
  ]
}
