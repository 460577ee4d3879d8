import type { EntityTarget } from './shard-args-storage'

/** What `@GlobalUnique` and `@LookupIndex` leave: of one property that they mark, or of the properties that they list. */
export interface LookupArgs {
  readonly target: EntityTarget
  readonly properties: readonly string[]
  /** It marks a property of the class, which may be a base class or an embedded one; else it lists paths of the entity's. */
  readonly isMark: boolean
  readonly isUnique: boolean
  readonly name: string | undefined
}

const storageKey = Symbol.for('typeorm-sharded.lookups')

/** Where the decorators of lookups leave what they were told, as `shardArgsStorage` does for the others. */
export function lookupArgsStorage(): LookupArgs[] {
  const holder = globalThis as { [storageKey]?: LookupArgs[] }
  holder[storageKey] ??= []
  return holder[storageKey]
}
