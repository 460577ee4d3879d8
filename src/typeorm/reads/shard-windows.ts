import type { ObjectLiteral } from 'typeorm'
import { pushAll } from '../../collections/push-all'
import { ShardedError } from '../../errors/sharded-error'
import type { Row } from '../../merging/row'
import { answerQuestions } from '../../planning/answer-questions'
import { armTag } from '../../planning/bind-shard-names'
import { collationKey } from '../../planning/collation-name'
import type { ShardWindow, VisitAnswer, VisitOutcome, VisitQuestion } from '../../planning/ordered-shards'
import { buildNodeStatements, type NodeStatement, type ScatterArm } from '../../planning/scatter-statement'
import { shardAt } from '../binding/entity-binding'
import type { ArmQueryBuilder, TemplateStatement } from '../find/arm-query-builder'
import type { Page } from './builder-page'
import { type FoundPage, rowsByArm } from './found-page'
import { selectKeysOnly } from './key-columns'
import { addHiddenOrder, type OrderTerm } from './scatter-order'
import {
  type FindOptions,
  factsOf,
  maxArms,
  newBuilder,
  rowOptions,
  type ScatterScope,
  type ShardTemplates,
  shardTemplates,
} from './scatter-rows'

type Visit = Generator<VisitQuestion, VisitOutcome, VisitAnswer>

/** Answers the questions of a visit to shards that follow each other: one statement a node and question. */
export class ShardWindows {
  private readonly builder: ArmQueryBuilder<ObjectLiteral>
  private readonly templates: ShardTemplates<TemplateStatement>
  private order: readonly OrderTerm[] = []
  private counting: ShardTemplates<TemplateStatement> | undefined

  constructor(
    private readonly scope: ScatterScope,
    private readonly options: FindOptions,
  ) {
    const prepare = (builder: ArmQueryBuilder<ObjectLiteral>): TemplateStatement => {
      if (builder.needsReload) selectKeysOnly(builder, scope.binding)
      this.order = addHiddenOrder(builder, { facts: factsOf(scope), ties: 'sorted' })
      return builder.addSelect(armTag, '__arm').skip(undefined).take(undefined).statement()
    }
    this.builder = newBuilder(scope, options)
    prepare(this.builder)
    this.templates = shardTemplates(scope, options, prepare)
  }

  /** What is sent first. */
  firstStatements(visit: Visit): readonly NodeStatement[] {
    const first = visit.next()
    return first.done ? [] : this.statements(first.value)
  }

  /** The rows of the page, in the order of the visit. */
  async rows(visit: Visit, { limit = 0 }: Page): Promise<FoundPage> {
    const rows: Row[] = []
    const { skip } = await answerQuestions(visit, async (question) => {
      const answers = rowsByArm((await this.scope.access.query(this.statements(question))).flat())
      if (question.kind === 'count')
        return new Map(Array.from(answers, ([shard, [row]]): [number, number] => [shard, Number(row?.['__n'])]))
      for (const { shard } of question.windows) pushAll(rows, this.witnessed(answers.get(shard) ?? []))
      return new Map(Array.from(answers, ([shard, own]): [number, number] => [shard, own.length]))
    })
    return { builder: this.builder, rows: rows.slice(skip, skip + limit), isKeys: this.builder.needsReload }
  }

  /** The shards follow each other under the declared collation of the key: the rows say whether it is theirs. */
  private witnessed(rows: readonly Row[]): readonly Row[] {
    const [key] = this.order
    const { witness, type } = key ?? {}
    if (!key || witness?.of !== 'collation' || type?.collation === undefined) return rows
    const declared = collationKey(type.collation)
    for (const row of rows) {
      const found = String(row[witness.column])
      if (collationKey(found) === declared) continue
      throw new ShardedError('MERGE_ORDER', `${key.name} sorts by ${found}, not by ${type.collation}.`, {
        details: { order: key.name, collation: found },
      })
    }
    return rows
  }

  private statements(question: VisitQuestion): readonly NodeStatement[] {
    return question.kind === 'count' ? this.counts(question.shards) : this.windows(question.windows)
  }

  private windows(windows: readonly ShardWindow[]): readonly NodeStatement[] {
    const arms = windows.map(({ shard: index, offset, limit }): ScatterArm => {
      const shard = shardAt(this.scope.binding, index)
      const { text, parameters } = this.templates.of(shard)
      return { shard, text: `${text} LIMIT ${limit}${offset > 0 ? ` OFFSET ${offset}` : ''}`, parameters }
    })
    return this.unite(arms, this.templates)
  }

  private counts(indexes: readonly number[]): readonly NodeStatement[] {
    const { scope } = this
    this.counting ??= shardTemplates(scope, rowOptions(this.options), (builder) => {
      selectKeysOnly(builder, scope.binding)
      return builder.setOption('disable-global-order').statement()
    })
    const { of } = this.counting
    const arms = indexes.map((index): ScatterArm => {
      const shard = shardAt(scope.binding, index)
      const { text, parameters } = of(shard)
      return {
        shard,
        text: `SELECT ${armTag} AS "__arm", COUNT(*)::text AS "__n" FROM (${text}) AS "rows"`,
        parameters,
      }
    })
    return this.unite(arms, this.counting)
  }

  private unite(
    arms: readonly ScatterArm[],
    { sharedParameters }: Pick<ShardTemplates<unknown>, 'sharedParameters'>,
  ): readonly NodeStatement[] {
    return buildNodeStatements(arms, { order: [], limit: undefined, sharedParameters, maxArms })
  }
}
