import type { LRUCache } from 'lru-cache'

/** A cache for each of some owners, as long as they are there, each within the same bounds. */
export class CachesOf<Owner extends object, Value extends {}> {
  private readonly all = new WeakMap<Owner, LRUCache<string, Value>>()

  /** @param make makes the empty cache of one owner */
  constructor(private readonly make: () => LRUCache<string, Value>) {}

  of(owner: Owner): LRUCache<string, Value> {
    const known = this.all.get(owner)
    if (known) return known
    const made = this.make()
    this.all.set(owner, made)
    return made
  }
}
