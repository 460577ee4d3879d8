import { LRUCache } from 'lru-cache'
import { type Kept, SharedQuestions } from '../../collections/shared-questions'
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
  private readonly questions = new SharedQuestions(
    new LRUCache<string, Kept<number>>({
      maxSize: maxLetters,
      sizeCalculation: (_, key) => key.length,
      ttl: maxAgeMs,
    }),
  )

  of(source: InputSource, context: Pick<StatementContext, 'access' | 'home'>): Promise<number> {
    const statements = source.kind === 'home' ? [source] : explainPlan(source).statements
    const key = statements.map(({ node, text }) => `${node} ${text}`).join('\n')
    return this.questions.ask(key, context.access, () =>
      estimateRows(source, { query: (all) => context.access.query(all), home: inputHost(context).home }),
    )
  }
}
