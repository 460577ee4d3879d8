import type { ObjectLiteral } from 'typeorm'
import type { Row } from '../../merging/row'
import { armTag } from '../../planning/bind-shard-names'
import { compareTo, type KeyRange, rangeConditions } from '../../planning/key-range'
import type { CountQuestion, PivotAnswer, PivotQuestion, RangeCount, SampleQuestion } from '../../planning/pivot-search'
import { buildNodeStatements, type NodeStatement, type ScatterArm } from '../../planning/scatter-statement'
import type { Shard } from '../../topology/shard'
import { shardAt } from '../binding/entity-binding'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import type { FoundPage } from './found-page'
import { addKeyTexts, selectKeysOnly } from './key-columns'
import type { FindPivotColumn } from './pivot-columns'
import { addHiddenOrder, type OrderTerm } from './scatter-order'
import {
  type FindOptions,
  factsOf,
  maxArms,
  mergeAnswers,
  newBuilder,
  type ScatterScope,
  shardTemplates,
} from './scatter-rows'

/** Statements, and the order in which their answers are sorted. */
export interface OrderedStatements {
  readonly statements: readonly NodeStatement[]
  readonly order: readonly OrderTerm[]
}

/** Answers the questions of a pivot search about the rows of a find: one statement a node and question. */
export class FindKeySource {
  /** @param options of a find without joins; its `where` says which rows there are */
  constructor(
    private readonly scope: ScatterScope,
    private readonly options: FindOptions,
    private readonly columns: readonly FindPivotColumn[],
  ) {}

  /** What would be sent for a question. */
  statements(question: PivotQuestion): OrderedStatements {
    return question.kind === 'sample' ? this.sample(question) : { statements: this.count(question), order: [] }
  }

  async answer(question: PivotQuestion): Promise<PivotAnswer> {
    const { access, binding } = this.scope
    if (question.kind === 'sample') {
      const { statements, order } = this.sample(question)
      const sources = await access.query(statements)
      const rows = await mergeAnswers(this.scope, sources, { order, offset: 0, limit: undefined })
      return { kind: 'sample', candidates: rows.map((row) => ({ shard: armOf(row), value: String(row['__v']) })) }
    }
    const rows = (await access.query(this.count(question))).flat()
    const empty: RangeCount = { below: question.pivots.map(() => 0), whole: 0 }
    const counts = new Map(question.shards.map((shard) => [shardAt(binding, shard).index, empty]))
    for (const row of rows) counts.set(armOf(row), rangeCount(row, question))
    return { kind: 'count', counts }
  }

  /** Keys of the ranges in the order of the find, from the offset on. */
  async readKeys(
    ranges: readonly KeyRange[],
    { offset, limit }: { offset: number; limit: number },
  ): Promise<FoundPage> {
    const { statements, order, builder } = this.keys(ranges, offset + limit)
    const sources = await this.scope.access.query(statements)
    return {
      builder,
      rows: await mergeAnswers(this.scope, sources, { order, offset, limit }),
      isKeys: true,
    }
  }

  private keys(
    ranges: readonly KeyRange[],
    limit: number,
  ): OrderedStatements & { readonly builder: ArmQueryBuilder<ObjectLiteral> } {
    const { binding, shards } = this.scope
    const facts = factsOf(this.scope)
    let order: readonly OrderTerm[] = []
    let builder: ArmQueryBuilder<ObjectLiteral> | undefined
    const prepare = (range: KeyRange) => (one: ArmQueryBuilder<ObjectLiteral>) => {
      selectKeysOnly(one, binding)
      addKeyTexts(one, binding)
      order = addHiddenOrder(one, { facts, ties: 'sorted' })
      one.addSelect(armTag, '__arm').skip(undefined).take(undefined).limit(limit)
      this.narrow(one, range)
      builder = one
      return one.statement()
    }
    const parts = ranges.map((range) => shardTemplates(this.scope, this.options, prepare(range)))
    // Ranges differ in their parameters, so that arms have lists of their own where there are several.
    const arms = parts.flatMap((templates) => shards.map((shard): ScatterArm => ({ shard, ...templates.of(shard) })))
    const sharedParameters = parts.length === 1 && parts[0]?.sharedParameters === true
    const statements = buildNodeStatements(arms, {
      order: order.map(({ node }) => node),
      limit,
      sharedParameters,
      maxArms,
    })
    return { statements, order, builder: builder ?? newBuilder(this.scope, this.options) }
  }

  /** What is compared and sent is made of the one row that an arm finds, not of those that it passes. */
  private sample({ range, positions }: SampleQuestion): OrderedStatements {
    const { term, descending, textOf } = this.column(range)
    const { form } = term
    const value = '"found"."__value"'
    const outputs = [
      `${textOf(value)} AS "__v", "found"."__arm" AS "__arm"`,
      `${form.comparable?.(value) ?? value} AS "__k", ${form.nodeOrder?.(value) ?? value} AS "__o"`,
      ...(form.witness ? [`${form.witness.sql(value)} AS "__w"`] : []),
    ].join(', ')
    const templates = shardTemplates(this.scope, this.withoutOrder, (builder) => {
      builder.select(term.expression, '__value').addSelect(armTag, '__arm')
      builder.orderBy(term.expression, descending ? 'DESC' : 'ASC')
      this.narrow(builder, range)
      return builder.statement()
    })
    const arms = this.shardsOf(positions.keys()).map((shard): ScatterArm => {
      const { text, parameters } = templates.of(shard)
      const found = `${text} LIMIT 1 OFFSET ${positions.get(shard.index) ?? 0}`
      return { shard, text: `SELECT ${outputs} FROM (${found}) AS "found"`, parameters }
    })
    const order: OrderTerm = {
      ...term,
      merge: { ...term.merge, column: '__k' },
      node: { ...term.node, column: '__o' },
      witness: term.witness && { ...term.witness, column: '__w' },
    }
    const { sharedParameters } = templates
    const shape = { order: [order.node], limit: undefined, sharedParameters, maxArms }
    return { statements: buildNodeStatements(arms, shape), order: [order] }
  }

  private count({ range, pivots, shards, whole }: CountQuestion): readonly NodeStatement[] {
    const statements = [true, false].map((isWhole) => {
      const asked = this.shardsOf(shards.filter((shard) => whole.has(shard) === isWhole))
      const templates = shardTemplates(this.scope, this.withoutOrder, (builder) => {
        this.selectCounts(builder, range, pivots)
        this.narrow(builder, range, isWhole ? undefined : pivots.at(-1))
        return builder.statement()
      })
      const arms = asked.map((shard): ScatterArm => ({ shard, ...templates.of(shard) }))
      return { arms, sharedParameters: templates.sharedParameters }
    })
    const filled = statements.filter(({ arms }) => arms.length > 0)
    return buildNodeStatements(
      filled.flatMap(({ arms }) => arms),
      {
        order: [],
        limit: undefined,
        sharedParameters: filled.length === 1 && filled[0]?.sharedParameters === true,
        maxArms,
      },
    )
  }

  /** Counts of all pivots by one scan, which an index on the column serves. */
  private selectCounts(builder: ArmQueryBuilder<ObjectLiteral>, range: KeyRange, pivots: readonly string[]): void {
    builder.select(armTag, '__arm').addSelect('COUNT(*)::text', '__n').setOption('disable-global-order')
    for (const [index, pivot] of pivots.entries()) {
      const isBelow = compareTo(this.column(range), '<', pivot, () => `:pivot${index}`)
      builder.addSelect(`COUNT(*) FILTER (WHERE ${isBelow})::text`, `__b${index}`).setParameter(`pivot${index}`, pivot)
    }
  }

  /** Adds the conditions of a range; with `last`, only what is before that value. */
  private narrow(builder: ArmQueryBuilder<ObjectLiteral>, range: KeyRange, last?: string): void {
    const parameters: ObjectLiteral = {}
    const bind = (text: string): string => {
      const name = `range${Object.keys(parameters).length}`
      parameters[name] = text
      return `:${name}`
    }
    const conditions = [...rangeConditions(range, this.columns, bind)]
    if (last !== undefined) conditions.push(compareTo(this.column(range), '<', last, bind))
    builder.andAlso(conditions, parameters)
  }

  private column(range: KeyRange): FindPivotColumn {
    const column = this.columns[range.equal.length]
    if (!column) throw new RangeError('A range of all terms has no next term.')
    return column
  }

  private shardsOf(indexes: Iterable<number>): readonly Shard[] {
    return Array.from(indexes, (index) => shardAt(this.scope.binding, index))
  }

  private get withoutOrder(): FindOptions {
    const { order: _, ...rest } = this.options
    return rest
  }
}

const armOf = (row: Row): number => Number(row['__arm'])

function rangeCount(row: Row, { pivots, whole }: CountQuestion): RangeCount {
  const below = pivots.map((_, index) => Number(row[`__b${index}`]))
  return { below, ...(whole.has(armOf(row)) && { whole: Number(row['__n']) }) }
}
