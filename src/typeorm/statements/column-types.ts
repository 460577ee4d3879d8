import { LRUCache } from 'lru-cache'
import { type Kept, SharedQuestions } from '../../collections/shared-questions'
import { describeQuery, typesOf } from '../../planning/describe-query'
import type { Template } from '../../planning/statement-template'
import type { ValueType } from '../../query/sort-form'
import type { Shard } from '../../topology/shard'
import { askHome, askShard, pick, type StatementContext } from './statement-run'

/** Letters of the texts whose columns' types are remembered. */
const maxDescribedLetters = 4_000_000

/** The types of the columns of queries, asked of a shard or of the home node once a text. */
export class ColumnTypes {
  private readonly types = new LRUCache<string, Kept<readonly ValueType[]>>({
    maxSize: maxDescribedLetters,
    sizeCalculation: (_, key) => key.length,
  })
  private readonly questions = new SharedQuestions(this.types)

  /** Asks for the types anew: tables may have been altered. */
  clear(): void {
    this.types.clear()
  }

  /** The types of a query's columns, asked once a text: of a shard, or of the home node. */
  describe(
    template: Template,
    width: number,
    { shard, values, context }: { shard: Shard | undefined; values: readonly unknown[]; context: StatementContext },
  ): Promise<readonly ValueType[]> {
    if (width === 0) return Promise.resolve([])
    const { text, parameters } = describeQuery(template, width)
    // Names of types are those of the shard that was asked.
    const key = `${shard?.name ?? ''} ${text}`
    const asked = pick(parameters, values)
    return this.questions.ask(key, context.access, async () =>
      typesOf(await (shard ? askShard(shard, { text, parameters: asked }, context) : askHome(text, asked, context))),
    )
  }
}
