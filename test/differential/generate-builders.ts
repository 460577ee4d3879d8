import { type EntitySpec, primaryOf, specs } from './columns'
import type { Data, DataObject } from './data'
import { conditionOn, conditions } from './generate-conditions'
import { columnAt, makeJoin, makeSelectModel, type SelectModel } from './generate-selects'
import { poolOf, put, where } from './generate-where'
import { makeChange, makeRows, mustBeFresh } from './generate-writes'
import type { Build, Comparison, Fragment } from './operation'
import type { Rng } from './rng'
import { builderSource, type Source } from './sources'

type Step = readonly Data[]

const exactRows: Comparison = { rows: 'ordered', close: [], loose: [] }
const setOfRows: Comparison = { rows: 'set', close: [], loose: [] }

/** Gives each parameter a name of its own. */
const createNames = (): (() => string) => {
  let next = 0
  return () => {
    next += 1
    return `p${next}`
  }
}

/** A read by a query builder. */
export function makeBuilderRead(rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Build {
  const isBeside = spec !== specs.Setting && known.includes(specs.Setting)
  return rng.weighted<Build>([
    [6, () => written(rng, spec, makeSelectModel(rng, spec, builderSource))],
    [6, () => entities(rng, spec)],
    [2, () => nested(rng, spec)],
    [isBeside ? 1 : 0, () => beside(rng, spec)],
  ])
}

/** Aggregates over a join with the unsharded entity. */
function beside(rng: Rng, spec: EntitySpec): Build {
  const steps: readonly Step[] = [
    ['select', 't.count', 'k'],
    ['addSelect', rng.pick(['sum(s.id)', 'count(DISTINCT s.id)', 'max(s.word)']), 'a'],
    ['addSelect', rng.pick(['sum(t.count)', 'count(*)', 'sum(s.id)']), 'b'],
    [rng.pick(['innerJoin', 'leftJoin']), { $: 'entity', entity: 'Setting' }, 's', 's.count = t.count'],
    ...whereSteps(rng, conditions(rng, builderSource(spec, 't')), createNames()),
    ['groupBy', 't.count'],
    ['orderBy', 't.count', rng.pick(directions)],
  ]
  return read(spec, 'getRawMany', steps, exactRows)
}

const read = (spec: EntitySpec, method: string, steps: readonly Step[], compare: Comparison): Build => ({
  do: 'build',
  entity: spec.name,
  alias: 't',
  steps,
  method,
  isWrite: false,
  compare,
})

/** A condition in the builder's words: `?` becomes `:p1`, and a list of them `(:...p1)`. */
function named(
  { sql, of }: Fragment,
  name: () => string,
  spreads: boolean,
): readonly [text: string, values: DataObject] {
  const values: Record<string, Data> = {}
  let next = 0
  const bind = (value: Data): string => {
    const key = name()
    values[key] = value
    return key
  }
  const text = sql.replaceAll(/\((\?(?:, \?)*)\)|\?/g, (whole, list: string | undefined) => {
    if (list === undefined || !spreads) return whole.replaceAll('?', () => `:${bind(of[next++] ?? null)}`)
    const count = list.split(', ').length
    next += count
    return `(:...${bind(of.slice(next - count, next))})`
  })
  return [text, values]
}

/** Conditions as calls: one by one, in brackets, or negated. */
function whereSteps(rng: Rng, list: readonly Fragment[], name: () => string, count = 't.count'): readonly Step[] {
  return list.map((one, index): Step => {
    const method = index === 0 ? 'where' : 'andWhere'
    const [text, values] = named(one, name, rng.oneIn(2))
    const call = Object.keys(values).length === 0 && rng.oneIn(2) ? [text] : [text, values]
    return rng.weighted<Step>([
      [6, () => [method, ...call]],
      [1, () => [method, { $: 'brackets', of: [['where', ...call]] }]],
      [1, () => [method, { $: 'not-brackets', of: [['where', ...call]] }]],
      [
        1,
        () => [
          method,
          {
            $: 'brackets',
            of: [
              ['where', ...call],
              ['orWhere', `${count} = 3`],
            ],
          },
        ],
      ],
    ])
  })
}

/** A select of raw rows. */
function written(rng: Rng, spec: EntitySpec, model: SelectModel): Build {
  const name = createNames()
  const { join, selects, orderBy, limit, offset } = model
  const onlyOne = model.compare.rows === 'ordered' && rng.oneIn(5)
  const isStream = model.compare.rows === 'ordered' && rng.oneIn(10)
  const shown = selects.map(({ sql, of }) => named({ sql, of }, name, false))
  const parameters = Object.assign({}, ...shown.map(([, values]) => values)) as DataObject
  const steps: Step[] = shown.map(([sql], index) => [index === 0 ? 'select' : 'addSelect', sql, columnAt(index)])
  if (Object.keys(parameters).length > 0) steps.push(['setParameters', parameters])
  if (join) {
    const on = join.on.map((one) => named(one, name, false))
    steps.push([join.isInner ? 'innerJoin' : 'leftJoin', `t.${join.property}`, 'j', ...on.flat()])
  }
  steps.push(...whereSteps(rng, model.where, name))
  if (spec.hasDeleteDate && rng.oneIn(6)) steps.push(['withDeleted'])
  for (const [index, { sql }] of model.groupBy.entries()) steps.push([index === 0 ? 'groupBy' : 'addGroupBy', sql])
  for (const [index, one] of model.having.entries())
    steps.push([index === 0 ? 'having' : 'andHaving', ...named(one, name, false)])
  if (model.isDistinct) steps.push(['distinct', true])
  if (model.distinctOn.length > 0) steps.push(['distinctOn', model.distinctOn.map(({ sql }) => sql)])
  for (const [index, { sql, direction, nulls }] of orderBy.entries())
    steps.push([index === 0 ? 'orderBy' : 'addOrderBy', unquoted(sql), direction, ...(nulls ? [nulls] : [])])
  const asTake = rng.oneIn(4) && !join
  if (limit !== undefined) steps.push([asTake ? 'take' : 'limit', limit])
  if (offset !== undefined) steps.push([asTake ? 'skip' : 'offset', offset])
  return read(spec, onlyOne ? 'getRawOne' : isStream ? 'stream' : 'getRawMany', steps, model.compare)
}

/** A builder writes the name of an output without quotes. */
const unquoted = (sql: string): string => sql.replace(/^"(c\d+)"$/, '$1')

const directions = ['ASC', 'DESC'] as const

/** A read of entities. */
function entities(rng: Rng, spec: EntitySpec): Build {
  const name = createNames()
  const source = builderSource(spec, 't')
  const join = rng.oneIn(3) ? makeJoin(rng, spec, builderSource) : undefined
  const steps: Step[] = []
  const isSelected = rng.oneIn(3)
  const isPaged = rng.oneIn(2)
  const isTotal = isPaged || rng.oneIn(2)
  const primaries = primaryOf(spec)
  if (rng.oneIn(5) && !join)
    steps.push(['select', [...rng.some(spec.columns, 3), ...primaries].map((column) => source.ref(column))])
  if (join) {
    const [verb, selects] = [join.isInner ? 'innerJoin' : 'leftJoin', isSelected ? '' : 'AndSelect']
    const [on] = join.on.map((one) => named(one, name, true))
    steps.push(
      rng.oneIn(6) && !isSelected
        ? [`${verb}AndMap${join.isToMany ? 'Many' : 'One'}`, `t.mapped`, `t.${join.property}`, 'j', ...(on ?? [])]
        : [`${verb}${selects}`, `t.${join.property}`, 'j', ...(on ?? [])],
    )
  }
  steps.push(...entityConditions(rng, spec, source, name))
  if (spec.hasDeleteDate && rng.oneIn(6)) steps.push(['withDeleted'])
  if (rng.oneIn(15)) steps.push(['comment', 'why: a test'])
  const chosen = isTotal ? rng.some(spec.columns, 2).filter(({ isPrimary }) => !isPrimary) : []
  const byJoined = join && isTotal ? primaryOf(join.source.spec).map(join.source.ref) : []
  const asTake = rng.oneIn(2)
  // A page of joined entities takes the rows of the first table only.
  const orders = isTotal ? [...[...chosen, ...primaries].map(source.ref), ...(asTake ? [] : byJoined)] : []
  for (const [index, sql] of orders.entries())
    steps.push([
      index === 0 ? 'orderBy' : 'addOrderBy',
      sql,
      rng.pick(directions),
      ...(rng.oneIn(4) ? [rng.pick(['NULLS FIRST', 'NULLS LAST'])] : []),
    ])
  if (isPaged) {
    if (!rng.oneIn(4)) steps.push([asTake ? 'take' : 'limit', rng.pick([0, 1, 2, 3, 5, 10, 40])])
    if (rng.oneIn(2)) steps.push([asTake ? 'skip' : 'offset', rng.pick([0, 1, 2, 5, 20, 60])])
  }
  const many: Comparison = isTotal ? 'exact' : { sortedBy: [], isPaged: false }
  return rng.weighted<Build>([
    [6, () => read(spec, 'getMany', steps, many)],
    [3, () => read(spec, 'getManyAndCount', steps, many)],
    [3, () => read(spec, 'getCount', steps, 'exact')],
    [2, () => read(spec, 'getExists', steps, 'exact')],
    [2, () => read(spec, rng.pick(['getOne', 'getOneOrFail']), steps, isTotal ? 'exact' : 'one-of-many')],
    [
      2,
      () =>
        read(spec, 'getRawMany', steps, isTotal && !(join && asTake) ? exactRows : isPaged ? 'one-of-many' : setOfRows),
    ],
    [isTotal && !join ? 2 : 0, () => read(spec, 'getRawAndEntities', steps, 'exact')],
    [isTotal && !(join && asTake) ? 1 : 0, () => read(spec, 'stream', steps, exactRows)],
  ])
}

/** Conditions of all forms that a builder takes. */
function entityConditions(rng: Rng, spec: EntitySpec, source: Source, name: () => string): readonly Step[] {
  return rng.weighted<readonly Step[]>([
    [6, () => whereSteps(rng, conditions(rng, source), name)],
    [1, () => [['where', where(rng, spec, { relations: false })]]],
    [1, () => [['whereInIds', idsOf(rng, spec)]]],
    [
      1,
      () => {
        const [one, other] = [rng.pick(spec.columns), rng.pick(spec.columns)].map((column) =>
          named(conditionOn(rng, source, column), name, true),
        )
        return [
          ['where', ...(one ?? [])],
          ['orWhere', ...(other ?? [])],
        ]
      },
    ],
  ])
}

function idsOf(rng: Rng, spec: EntitySpec): Data {
  const primaries = primaryOf(spec)
  const one = (): Data => {
    const [first, second] = primaries
    if (first && !second && rng.oneIn(2)) return rng.pick(poolOf(first))
    return primaries.reduce<DataObject>((id, column) => put(id, column.path, rng.pick(poolOf(column))), {})
  }
  return rng.oneIn(3) ? one() : Array.from({ length: rng.int(5) }, one)
}

/** Subqueries in conditions, selections and sources, and common table expressions. */
function nested(rng: Rng, spec: EntitySpec): Build {
  const name = createNames()
  const source = builderSource(spec, 't')
  const entity: DataObject = { $: 'entity', entity: spec.name }
  const ordered: readonly Step[] = primaryOf(spec).map((column, index) => [
    index === 0 ? 'orderBy' : 'addOrderBy',
    source.ref(column),
    'ASC',
  ])
  const [id] = primaryOf(spec)
  const inner = builderSource(spec, 's')
  const [innerText, innerValues] = named(conditionOn(rng, inner, rng.pick(spec.columns)), name, true)
  const more = whereSteps(rng, conditions(rng, source), name).map(
    ([method, ...rest]): Step => ['andWhere', ...rest].slice(method ? 0 : 1),
  )
  const { children } = spec
  return rng.weighted<Build>([
    [
      2,
      () => {
        const of: Step[] = [
          ['select', `${rng.pick(['max', 'min', 'avg'])}(s.count)`],
          ['from', entity, 's'],
          ['where', innerText, innerValues],
        ]
        return read(
          spec,
          'getMany',
          [
            ['where', { $: 'nested', prefix: `t.count ${rng.pick(['>=', '<', '='])}`, suffix: '', of }],
            ...more,
            ...ordered,
          ],
          'exact',
        )
      },
    ],
    [
      2,
      () => {
        const of: Step[] = [
          ['select', `s.${id?.path}`],
          ['from', entity, 's'],
          ['where', innerText, innerValues],
        ]
        const prefix = `t.${id?.path} ${rng.oneIn(3) ? 'NOT ' : ''}IN`
        return read(
          spec,
          rng.pick(['getMany', 'getCount']),
          [['where', { $: 'nested', prefix, suffix: '', of }], ...more, ...ordered],
          'exact',
        )
      },
    ],
    [
      children ? 3 : 0,
      () => {
        const child = specs[children?.entity ?? 'Item']
        const [text, values] = named(conditionOn(rng, builderSource(child, 'c'), rng.pick(child.columns)), name, true)
        const of: Step[] = [
          ['where', `c.${children?.foreignKey} = t.${id?.path}`],
          ['andWhere', text, values],
        ]
        return read(
          spec,
          'getMany',
          [['whereExists', { $: 'builder', entity: child.name, alias: 'c', of }], ...more, ...ordered],
          'exact',
        )
      },
    ],
    [
      children ? 2 : 0,
      () => {
        const of: Step[] = [
          ['select', 'count(*)'],
          ['from', { $: 'entity', entity: children?.entity ?? 'Item' }, 'c'],
          ['where', `c.${children?.foreignKey} = t.${id?.path}`],
        ]
        return read(
          spec,
          'getRawMany',
          [['select', `t.${id?.path}`, 'c0'], ['addSelect', { $: 'select-from', of }, 'c1'], ...more, ...ordered],
          exactRows,
        )
      },
    ],
    [
      2,
      () => {
        const of: Step[] = [
          ['select', 's.count', 'k'],
          ['addSelect', 'count(*)', 'n'],
          ['from', entity, 's'],
          ['where', innerText, innerValues],
          ['groupBy', 's.count'],
        ]
        return {
          ...read(
            spec,
            'getRawMany',
            [
              ['select', 'count(*)', 'c0'],
              ['addSelect', 'max(x.n)', 'c1'],
              [
                'addCommonTableExpression',
                { $: 'builder', entity: spec.name, alias: 's', of: of.filter(([method]) => method !== 'from') },
                'x',
              ],
              ['innerJoin', 'x', 'x', 'x.k = t.count'],
              ['setParameters', innerValues],
            ],
            exactRows,
          ),
        }
      },
    ],
  ])
}

/** A write by a query builder. */
export function makeBuilderWrite(rng: Rng, spec: EntitySpec): Build {
  const name = createNames()
  // An update has no alias, and knows no properties of embedded objects by their path.
  const columns = spec.columns.filter(({ path }) => !path.includes('.'))
  const source: Source = { spec: { ...spec, columns }, alias: '', ref: ({ path }) => `"${path}"` }
  const conditioned = whereSteps(rng, conditions(rng, source), name, '"count"')
  const given: readonly Step[] = conditioned.length > 0 ? conditioned : [['where', '"count" > 2']]
  const returning: readonly Step[] = rng.weighted<readonly Step[]>([
    [2, () => []],
    [1, () => [['returning', primaryOf(spec).map(({ path }) => path)]]],
    [1, () => [['returning', [...primaryOf(spec).map(({ path }) => path), 'count']]]],
  ])
  const write = (steps: readonly Step[], method = 'execute'): Build => ({
    do: 'build',
    entity: spec.name,
    alias: 't',
    steps,
    method,
    isWrite: true,
    compare: setOfRows,
  })
  const change = makeChange(rng, spec, 2)
  const set = rng.oneIn(3) ? { ...change, count: { $: 'sql', v: '"count" + 1' } } : change
  return rng.weighted<Build>([
    [4, () => write([['update'], ['set', set], ...given, ...returning])],
    [2, () => write([['delete'], ...given, ['andWhere', '"count" > :least', { least: rng.int(8) }], ...returning])],
    [spec.hasDeleteDate ? 2 : 0, () => write([['softDelete'], ...given, ...returning])],
    [spec.hasDeleteDate ? 2 : 0, () => write([['restore'], ...given, ...returning])],
    [1, () => write([['update'], ['set', set], ['whereInIds', idsOf(rng, spec)], ...returning])],
    [1, () => write([['update'], ['set', set], ['where', where(rng, spec, { relations: false })], ...returning])],
    [4, () => write(insertSteps(rng, spec))],
  ])
}

function insertSteps(rng: Rng, spec: EntitySpec): readonly Step[] {
  const rows = makeRows(rng, spec, 1 + rng.int(3), { share: 40, isFresh: mustBeFresh(spec) || rng.oneIn(2) })
  const conflict = spec.columns.filter((column) => column.isPrimary || column.isKey).map(({ path }) => path)
  const unique = spec.columns.filter(({ isUnique }) => isUnique).map(({ path }) => path)
  return [
    ['insert'],
    ['values', rng.oneIn(3) ? (rows[0] ?? {}) : rows],
    ...rng.weighted<readonly Step[]>([
      [3, () => []],
      // Of a `@GlobalUnique` it is refused: see `makeSqlWrite`.
      [spec.parent || unique.length > 0 ? 0 : 1, () => [['orIgnore']]],
      [spec.parent ? 0 : 1, () => [['orUpdate', ['count', 'name', ...unique], conflict]]],
    ]),
    ...(rng.oneIn(3) ? [['returning', primaryOf(spec).map(({ path }) => path)]] : []),
    ...(rng.oneIn(6) ? [['updateEntity', false]] : []),
  ]
}
