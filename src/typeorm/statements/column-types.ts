import { LRUCache } from 'lru-cache'
import { describeQuery, typesOf } from '../../planning/describe-query'
import type { Template } from '../../planning/statement-template'
import type { ValueType } from '../../query/sort-form'
import type { Shard } from '../../topology/shard'
import { askHome, askShard, pick, type StatementContext } from './statement-run'

/** Letters of the texts whose columns' types are remembered. */
const maxDescribedLetters = 4_000_000

/** The types of the columns of queries, asked of a shard or of the home node once a text. */
export class ColumnTypes {
  private readonly types = new LRUCache<string, Promise<readonly ValueType[]>>({
    maxSize: maxDescribedLetters,
    sizeCalculation: (_, key) => key.length,
  })

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
    const known = this.types.get(key)
    if (known) return known
    const types = (
      shard
        ? askShard(shard, { text, parameters: pick(parameters, values) }, context)
        : askHome(text, pick(parameters, values), context)
    ).then(typesOf)
    this.types.set(key, types)
    types.catch(() => this.types.delete(key))
    return types
  }
}
