import { LRUCache } from 'lru-cache'
import { estimateRows } from '../../execution/estimate-rows'
import { explainPlan } from '../../planning/explain-plan'
import type { ReadPlan } from '../../planning/read-plan'
import type { StatementContext } from './statement-run'

/** Letters of the texts whose rows were estimated. */
const maxLetters = 1_000_000

/** What servers expect is asked again after this: tables grow. */
const maxAgeMs = 60_000

/** How many rows plans are expected to read, asked of the servers once a minute for each text. Nothing but speed hangs on it. */
export class RowEstimates {
  private readonly known = new LRUCache<string, Promise<number>>({
    maxSize: maxLetters,
    sizeCalculation: (_, key) => key.length,
    ttl: maxAgeMs,
  })

  of(plan: ReadPlan, { access }: Pick<StatementContext, 'access'>): Promise<number> {
    const key = explainPlan(plan)
      .statements.map(({ node, text }) => `${node} ${text}`)
      .join('\n')
    const known = this.known.get(key)
    if (known) return known
    const asked = estimateRows(plan, access)
    this.known.set(key, asked)
    asked.catch(() => this.known.delete(key))
    return asked
  }
}
