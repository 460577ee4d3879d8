import type { QueryRunner } from 'typeorm'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { Explanation } from '../../planning/explanation'
import type { ShardedQueryRunner } from './sharded-query-runner'

/** Notes the first statement that TypeORM would send, which then seems to find no rows, and explains it. */
export class ExplainingRunner {
  private asked: { readonly text: string; readonly parameters: readonly unknown[] } | undefined
  readonly view: QueryRunner

  constructor(private readonly runner: ShardedQueryRunner) {
    const query = async (text: string, parameters: readonly unknown[] = []): Promise<QueryResult> => {
      this.asked ??= { text, parameters }
      return Object.assign(new QueryResult(), { records: [], raw: [] })
    }
    this.view = new Proxy(runner, {
      get: (target, name, view) => (name === 'query' ? query : Reflect.get(target, name, view)),
    })
  }

  /** @throws ShardedError NOT_SHARDED, and what the statement itself would be refused with */
  async explanation(): Promise<Explanation> {
    if (!this.asked) throw new RangeError('Nothing was asked.')
    return this.runner.explain(this.asked.text, this.asked.parameters)
  }
}
