import type { ObjectLiteral } from 'typeorm'
import { armTag } from '../../planning/bind-shard-names'
import { keyAlias } from '../../planning/question-statements'
import type { ArmSource } from '../../query/arm-source'
import { KeyList, type KeySource, type PageArms, type SeekColumn, type SortedArms } from '../../query/page-query'
import type { EntityBinding } from '../binding/entity-binding'
import type { ArmQueryBuilder, TemplateStatement } from '../find/arm-query-builder'
import { addDriverOrder, addSortColumns, type FindTerm, orderedTag, sortArms } from './find-order'
import { type FindOptions, type FindScope, factsOf, newBuilder, rowOptions } from './find-scope'
import { addKeyTexts, countableColumn, selectKeysOnly } from './key-columns'
import { shardArms } from './shard-arms'

type Builder = ArmQueryBuilder<ObjectLiteral>

/** Where in its order a find starts, for all its builders alike. */
export interface Placement {
  /** Orders the builder, adds the condition of the start, and drops joins that are not needed to find it. */
  readonly place: (builder: Builder) => void
  /** Adds hidden columns, after the columns of the rows are known. */
  readonly select: (builder: Builder) => void
}

interface GivenArms {
  /** Of the options, as TypeORM applied them. */
  readonly builder: Builder
  readonly isPaged: boolean
  readonly placement?: Placement
}

/** The arms of a find, as TypeORM makes their SQL. */
export class FindArms implements PageArms {
  /** By this builder TypeORM makes entities of the rows, or of the primary keys where the arms give these. */
  private made: Builder | undefined
  private keySource: KeySource | string | undefined

  constructor(
    private readonly scope: FindScope,
    private readonly options: FindOptions,
    private readonly given: GivenArms,
  ) {}

  get isPaged(): boolean {
    return this.given.isPaged
  }

  /** The builder of the arms that were made last. */
  get hydrator(): Builder {
    return this.made ?? this.given.builder
  }

  sorted(): SortedArms {
    let order: readonly FindTerm[] = []
    const source = this.arms(this.options, (builder) => {
      // A placement drops joins that only load relations: what is loaded by key stays so.
      const { needsReload } = builder
      this.given.placement?.place(builder)
      if (needsReload) selectKeysOnly(builder, this.scope.binding)
      order = addSortColumns(builder, { facts: factsOf(this.scope), ties: this.isPaged ? 'primary-key' : 'any' })
      sortArms(builder, order)
      this.given.placement?.select(builder)
      return armOf(builder, orderedTag(order))
    })
    return { source, order: order.map(({ term }) => term) }
  }

  shares(): SortedArms | undefined {
    let ordered: ReturnType<typeof addDriverOrder>
    const source = this.arms(this.options, (builder) => {
      ordered = addDriverOrder(builder, factsOf(this.scope))
      return armOf(builder, ordered?.tag ?? armTag)
    })
    return ordered && { source, order: ordered.order }
  }

  counted(): ArmSource {
    return shardArms(this.scope, rowOptions(this.options), {
      make: (builder) => {
        selectKeysOnly(builder, this.scope.binding)
        return builder.setOption('disable-global-order').statement()
      },
    })
  }

  keys(): KeySource | string {
    this.keySource ??= this.makeKeys()
    return this.keySource
  }

  private makeKeys(): KeySource | string {
    const { order } = this.options
    const options: FindOptions = { ...rowOptions(this.options), ...(order !== undefined && { order }) }
    const whole = newBuilder(this.scope, options)
    if (whole.isJoined) return 'the condition or the order is about a relation'
    let terms: readonly FindTerm[] = []
    let outputs: readonly string[] = []
    const arms = this.arms(
      options,
      (builder) => {
        selectKeysOnly(builder, this.scope.binding)
        addKeyTexts(builder, this.scope.binding)
        terms = addSortColumns(builder, { facts: factsOf(this.scope), ties: 'primary-key' })
        builder.addSelect(orderedTag(terms), '__arm')
        outputs = outputNames(builder, this.scope.binding)
        for (const [index, { plain }] of terms.entries()) builder.addSelect(plain, `__v${index}`)
        builder.orderBy().setOption('disable-global-order')
        return builder.skip(undefined).take(undefined).statement()
      },
      whole,
    )
    const columns = seekColumns(terms)
    return Object.freeze({
      arms,
      outputs,
      order: terms.map(({ term }) => term),
      sortBy: terms.map(({ sortBy }, index) => sortBy(rawValue(index))),
      columns: typeof columns === 'string' ? [] : columns,
      notCountable: typeof columns === 'string' ? columns : undefined,
    })
  }

  loaded(): ArmSource {
    const { binding } = this.scope
    const { order: _order, skip: _skip, take: _take, ...options } = this.options
    return this.arms(options, (builder) => {
      addKeyTexts(builder, binding)
      builder.addSelect(armTag, '__arm').setOption('disable-global-order')
      const lists = binding.metadata.primaryColumns.map((_, index) => [`pageKeys${index}`, new KeyList(index)])
      return builder.andAlso([keyCondition(builder, binding)], Object.fromEntries(lists)).statement()
    })
  }

  private arms(options: FindOptions, make: (builder: Builder) => TemplateStatement, whole?: Builder): ArmSource {
    const noted = (builder: Builder): TemplateStatement => {
      this.made = builder
      return make(builder)
    }
    return shardArms(this.scope, options, { make: noted, whole })
  }
}

const armOf = (builder: Builder, tag: string): TemplateStatement =>
  builder.addSelect(tag, '__arm').skip(undefined).take(undefined).limit(undefined).statement()

const rawValue = (index: number): string => `${keyAlias}."__v${index}"`

/** The output columns of a builder: those of its primary key, and those with names of their own. */
function outputNames(builder: Builder, { metadata }: EntityBinding): readonly string[] {
  const keys = metadata.primaryColumns.flatMap((column) => {
    const plain = builder.sqlOf(column)
    return (
      builder.outputOf(builder.alias, metadata, plain) ??
      builder.outputOf(builder.alias, metadata, `${plain}::text`) ??
      []
    )
  })
  const named = builder.expressionMap.selects.flatMap(({ aliasName }) => aliasName ?? [])
  return [...keys, ...named]
}

/** The terms as columns to count by; a text says why one of them cannot be counted by. */
function seekColumns(terms: readonly FindTerm[]): readonly SeekColumn[] | string {
  const columns: SeekColumn[] = []
  for (const [index, { term, column, sortBy }] of terms.entries()) {
    const known = countableColumn(column, sortBy(rawValue(index)))
    if (typeof known === 'string') return known
    const { descending, nullsFirst } = term
    const textOf = (value: string): string => {
      const one = countableColumn(column, value)
      return typeof one === 'string' ? value : one.text
    }
    const { expression, castTo } = known
    columns.push({ expression, castTo, descending, nullsFirst, nullable: column.isNullable, textOf })
  }
  return columns
}

function keyCondition(builder: Builder, { metadata }: EntityBinding): string {
  const parts = metadata.primaryColumns.map((column, index) => {
    const raw = builder.sqlOf(column)
    const known = countableColumn(column, raw)
    const sql = typeof known === 'string' ? undefined : known
    return {
      expression: sql?.expression ?? `${raw}::text`,
      list: `CAST(:pageKeys${index} AS ${sql?.castTo ?? 'text'}[])`,
    }
  })
  const [only, another] = parts
  if (only && !another) return `${only.expression} = ANY(${only.list})`
  const expressions = parts.map(({ expression }) => expression).join(', ')
  return `(${expressions}) IN (SELECT * FROM unnest(${parts.map(({ list }) => list).join(', ')}))`
}
