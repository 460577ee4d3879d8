import { LRUCache } from 'lru-cache'
import { estimateRows } from '../../execution/estimate-rows'
import { explainPlan } from '../../planning/explain-plan'
import type { InputSource } from '../../planning/gather-plan'
import { inputHost } from './gather-host'
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

  of(source: InputSource, context: Pick<StatementContext, 'access' | 'home'>): Promise<number> {
    const statements = source.kind === 'home' ? [source] : explainPlan(source).statements
    const key = statements.map(({ node, text }) => `${node} ${text}`).join('\n')
    const known = this.known.get(key)
    if (known) return known
    const asked = estimateRows(source, { query: (all) => context.access.query(all), home: inputHost(context).home })
    this.known.set(key, asked)
    asked.catch(() => this.known.delete(key))
    return asked
  }
}
