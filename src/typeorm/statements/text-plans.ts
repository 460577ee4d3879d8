import { LRUCache } from 'lru-cache'
import type { ParsedStatement } from '../../sql/parse-statement'

/** Of one text: for each first shard, and each set of nodes, another one. */
const maxPlansOfText = 64

/** What was made of texts, by what else it depends on. It goes with the text. */
export class TextPlans<Plan extends object> {
  private readonly plans = new WeakMap<ParsedStatement, LRUCache<string, Plan>>()

  remembered(parsed: ParsedStatement, dependsOn: readonly unknown[], make: () => Plan): Plan {
    const plans = this.plans.get(parsed) ?? new LRUCache<string, Plan>({ max: maxPlansOfText })
    this.plans.set(parsed, plans)
    const key = JSON.stringify(dependsOn)
    const known = plans.get(key)
    if (known) return known
    const plan = make()
    plans.set(key, plan)
    return plan
  }
}
