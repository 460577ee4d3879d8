import { FrequentKeys, type KeyCount } from '../collections/frequent-keys'
import { type CanonicalKey, canonicalTuple } from '../values/canonical-key'
import { StatementLoad } from './statement-load'

/** Shard keys of a group that are told apart, where the options do not say. */
export const defaultHotKeys = 64

/** What this process has asked of its nodes, and of which shard keys. */
export class LoadStatistics {
  readonly statements = new StatementLoad()
  private readonly groups = new Map<string, FrequentKeys>()

  /** @param hotKeys of each group so many keys are told apart; 0: none are counted */
  constructor(readonly hotKeys: number) {}

  /** Counts the keys of a group; undefined: they are not counted. */
  counterOf(group: string): ((key: readonly CanonicalKey[]) => void) | undefined {
    if (this.hotKeys === 0) return undefined
    return (key) => this.keysOf(group).add(canonicalTuple(key))
  }

  /** The keys of a group that were met most often. */
  hottest(group: string): readonly KeyCount[] {
    return this.keysOf(group).top(this.hotKeys)
  }

  /** Begins to count anew. */
  reset(): void {
    this.statements.reset()
    this.groups.clear()
  }

  private keysOf(group: string): FrequentKeys {
    const known = this.groups.get(group)
    if (known) return known
    const keys = new FrequentKeys(this.hotKeys)
    this.groups.set(group, keys)
    return keys
  }
}
