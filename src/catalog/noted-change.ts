import { hostname, userInfo } from 'node:os'
import type { NotedChange } from './node-catalog'

/** What the history of the shard map has of a change that this process makes. */
export const noted = (reason: string): NotedChange => Object.freeze({ author: author(), reason })

/** A process in a container may run as a user without a name. */
export function author(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    return hostname()
  }
}
