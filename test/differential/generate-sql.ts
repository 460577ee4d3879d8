import { type ColumnSpec, type EntitySpec, keysOf, primaryOf } from './columns'
import type { Data, DataObject } from './data'
import { makeSqlAcross } from './generate-across'
import { makeBeside, makeBesideAggregate, makeBesideWrite } from './generate-beside'
import { conditions } from './generate-conditions'
import { makeSqlGather } from './generate-gather'
import { makeSqlNested } from './generate-nested'
import { columnAt, type JoinModel, makeSelectModel, makeTiedModel, type SelectModel } from './generate-selects'
import { makeSetOperation } from './generate-sets'
import { makeSqlShape } from './generate-shapes'
import { poolOf } from './generate-where'
import { makeRows, mustBeFresh } from './generate-writes'
import type { Clause, Fragment, Sql } from './operation'
import type { Rng } from './rng'
import { columnName, type Source, sqlSource, tableName } from './sources'
import { clause, fixed, fragment, query } from './sql-text'

/** A select given as SQL. */
export function makeSqlSelect(rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Sql {
  return rng.weighted<Sql>([
    [8, () => written(rng, makeSelectModel(rng, spec, sqlSource))],
    [1, () => written(rng, makeTiedModel(rng, spec, sqlSource), 'ties')],
    [4, () => makeSqlNested(rng, spec, known)],
    [2, () => makeSqlGather(rng, spec, known)],
    [isBeside(spec, known) ? 2 : 0, () => makeBeside(rng, spec)],
    [isBeside(spec, known) ? 4 : 0, () => makeBesideAggregate(rng, spec)],
    [2, () => makeSetOperation(rng, spec, known)],
    [3, () => makeSqlShape(rng, spec)],
  ])
}

/** Whether a table stands beside the unsharded one. */
const isBeside = ({ name }: EntitySpec, known: readonly EntitySpec[]): boolean =>
  name !== 'Setting' && known.some((one) => one.name === 'Setting')

function written(rng: Rng, model: SelectModel, method = 'select'): Sql {
  const { source, join, selects, orderBy, limit, offset, compare } = model
  const distinct = model.isDistinct
    ? 'DISTINCT'
    : model.distinctOn.length > 0
      ? `DISTINCT ON (${model.distinctOn.map(({ sql }) => sql).join(', ')})`
      : ''
  const page = (word: string, value: number | undefined, after = ''): Clause =>
    clause(
      word,
      '',
      value === undefined ? [] : [rng.oneIn(2) ? fragment(`?${after}`, [value]) : fragment(`${value}${after}`)],
      true,
    )
  const isNeeded = (index: number): boolean =>
    distinct !== '' || orderBy.some(({ sql }) => sql === `"${columnAt(index)}"` || /^\d+$/.test(sql))
  return query(
    source.spec,
    method,
    [
      clause(
        `SELECT ${distinct}`,
        ', ',
        selects.map(({ sql, of }, index) => ({
          ...fragment(`${sql} AS "${columnAt(index)}"`, of),
          ...(!isNeeded(index) && { mayGo: true }),
        })),
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
      ...(model.withTies
        ? [page('OFFSET', offset), page('FETCH FIRST', limit, ' ROWS WITH TIES')]
        : [page('LIMIT', limit), page('OFFSET', offset)]),
    ],
    compare,
  )
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
export function makeSqlWrite(rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Sql {
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
  const hasUnique = spec.columns.some(({ isUnique }) => isUnique)
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
    [2, () => sql('with', withClauses(rng, source, where))],
    [copies(spec) ? 1 : 0, () => sql('copy', copyClauses(rng, source, where))],
    [isBeside(spec, known) ? 1 : 0, () => makeBesideWrite(rng, spec)],
    [3, () => makeSqlAcross(rng, spec, known)],
    [hasUnique ? 1 : 0, () => sql('conflict', insertClauses(rng, spec, rng.pick(uniqueConflicts)))],
  ])
}

/** A WITH that writes: rows of a key, a new row of the unsharded table (of others it is refused), or, over shards refused, any rows. */
function withClauses(rng: Rng, source: Source, where: readonly Fragment[]): readonly Clause[] {
  const { spec } = source
  const ofKey = keysOf(spec).map((column) => fragment(`${source.ref(column)} = ?`, [rng.pick(poolOf(column))]))
  const kept: readonly Fragment[] = [...ofKey, ...(rng.oneIn(2) ? where : [])]
  const conditions = rng.oneIn(12) ? where : kept
  const tail = fixed('SELECT count(*) AS "n", sum("n") AS "m" FROM "u"')
  const returning = fixed('RETURNING "t"."count" AS "n")')
  const conditioned = clause('WHERE', ' AND ', conditions, true)
  return rng.weighted<readonly Clause[]>([
    [
      2,
      () => [
        fixed(`WITH "u" AS (UPDATE ${tableName(spec)} "t" SET "count" = "t"."count" + 1`),
        conditioned,
        returning,
        tail,
      ],
    ],
    [1, () => [fixed(`WITH "u" AS (DELETE FROM ${tableName(spec)} "t"`), conditioned, returning, tail]],
    [
      ofKey.length > 0 ? 0 : 2,
      () => {
        const [row = {}] = makeRows(rng, spec, 1, { isFresh: true })
        return [fixed('WITH "u" AS ('), ...rowClauses(spec, [row]), fixed('RETURNING "count" AS "n")'), tail]
      },
    ],
  ])
}

/** Whether a row can be copied beside itself: its primary key is a number, and not its shard key. */
const copies = (spec: EntitySpec): boolean => {
  const [id, ...others] = primaryOf(spec)
  return id?.kind === 'int' && !id.isKey && others.length === 0 && keysOf(spec).length > 0
}

/** Rows from rows of the same keys. */
function copyClauses(rng: Rng, source: Source, where: readonly Fragment[]): readonly Clause[] {
  const { spec } = source
  const [id] = primaryOf(spec)
  const kept = spec.columns.filter(
    (column) =>
      !column.isPrimary &&
      (column.isKey || spec.bound.includes(column.path) || ['count', 'name'].includes(column.path)),
  )
  const isVersioned = spec.columns.some(({ path }) => path === 'instant')
  const names = [...[id, ...kept].map((column) => column?.path ?? ''), ...(isVersioned ? ['version'] : [])]
  const values = [`"t"."id" + ${100_000 + rng.int(100_000)}`, ...kept.map(source.ref), ...(isVersioned ? ['1'] : [])]
  return [
    fixed(`INSERT INTO ${tableName(spec)} (${names.map((name) => `"${name}"`).join(', ')})`),
    fixed(`SELECT ${values.join(', ')} FROM ${tableName(spec)} "t"`),
    clause('WHERE', ' AND ', where),
    clause('RETURNING', ', ', rng.oneIn(2) ? [] : [fragment('"id"')]),
  ]
}

/** Refused over shards, where the row in the way is on another one. */
const uniqueConflicts = [
  'ON CONFLICT DO NOTHING',
  'ON CONFLICT ("email") DO NOTHING',
  'ON CONFLICT ("email") DO UPDATE SET "count" = EXCLUDED."count"',
]

function insertClauses(rng: Rng, spec: EntitySpec, given?: string): readonly Clause[] {
  const rows = makeRows(rng, spec, 1 + rng.int(3), { isFresh: mustBeFresh(spec) || rng.oneIn(2) })
  const conflict = spec.columns.filter((column) => column.isPrimary || column.isKey).map(({ path }) => `"${path}"`)
  const primary = spec.columns.filter(({ isPrimary }) => isPrimary).map(({ path }) => `"${path}"`)
  const resolutions = spec.parent
    ? ['']
    : [
        '',
        `ON CONFLICT (${conflict.join(', ')}) DO NOTHING`,
        `ON CONFLICT (${conflict.join(', ')}) DO UPDATE SET "count" = EXCLUDED."count"`,
        `ON CONFLICT (${primary.join(', ')}) DO NOTHING`,
        `ON CONFLICT (${primary.join(', ')}) DO UPDATE SET "count" = EXCLUDED."count"`,
        ...spec.columns
          .filter(({ isUnique }) => isUnique)
          .map(({ path }) => `ON CONFLICT (${conflict.join(', ')}) DO UPDATE SET "${path}" = EXCLUDED."${path}"`),
      ]
  const resolution = given ?? rng.pick(resolutions)
  return [
    ...rowClauses(spec, rows),
    clause('', '', resolution === '' ? [] : [fragment(resolution)]),
    clause('RETURNING', ', ', rng.oneIn(2) ? [] : primaryOf(spec).map(({ path }) => fragment(`"${path}"`))),
  ]
}

/** An INSERT of some columns of the rows, up to its VALUES. */
function rowClauses(spec: EntitySpec, rows: readonly DataObject[]): readonly Clause[] {
  const columns = [
    ...spec.columns.filter((column) => column.isPrimary || column.isKey || spec.bound.includes(column.path)),
    ...spec.columns.filter(({ path }) => path === 'count' || path === 'name' || path === 'word'),
    ...spec.columns.filter(({ isUnique }) => isUnique),
  ]
  const cellOf = (row: DataObject, { path }: ColumnSpec): Data => row[path] ?? null
  // TypeORM writes the first version itself.
  const isVersioned = spec.columns.some(({ path }) => path === 'instant')
  const names = [...columns.map(({ path }) => path), ...(isVersioned ? ['version'] : [])]
  return [
    clause(
      `INSERT INTO ${tableName(spec)} (${names.map((name) => `"${name}"`).join(', ')}) VALUES`,
      ', ',
      rows.map((row) =>
        fragment(`(${names.map(() => '?').join(', ')})`, [
          ...columns.map((column) => cellOf(row, column)),
          ...(isVersioned ? [1] : []),
        ]),
      ),
    ),
  ]
}
