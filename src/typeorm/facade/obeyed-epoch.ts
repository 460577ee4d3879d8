import type { CatalogNode } from '../../catalog/node-catalog'
import { asUnavailable } from '../../catalog/own-table'
import { ProcessLease } from '../../catalog/process-lease'
import type { ShardedError } from '../../errors/sharded-error'
import { isAway } from './node-sessions'

interface ObeyedParts {
  /** The node that decides where shards are; undefined where there is nothing to ask yet. */
  readonly decider: () => CatalogNode | undefined
  /** The other nodes that answer. */
  readonly others: () => readonly CatalogNode[]
  /** Whether a part of what is stored is not taken over yet. */
  readonly hasDeferred: () => boolean
  /** Refuses all operations for a reason, or none any more. */
  readonly fence: (reason: ShardedError | undefined) => void
  readonly warn: (text: string) => void
}

/** The epoch by which operations of a data source begin, and its lease, which tells it to other processes. */
export class ObeyedEpoch {
  /** Of the map that operations have. */
  current = 0
  private lease: ProcessLease

  constructor(private readonly parts: ObeyedParts) {
    this.lease = this.newLease()
  }

  /** Whether the deciding node has noted a change that this process does not obey. The lease is renewed by the way. */
  async hasChanged(): Promise<boolean> {
    const { decider, others, hasDeferred } = this.parts
    const node = decider()
    if (!node) return false
    try {
      const epoch = await this.lease.ask(node)
      return hasDeferred() || epoch !== this.current
    } catch (error) {
      await this.lease.renewElsewhere(others())
      throw error
    }
  }

  /** As `hasChanged`, before the first operation: a home node that was lost meanwhile is asked again later, and another node has the lease so long. */
  async hasChangedAtStart(): Promise<boolean> {
    try {
      return await this.hasChanged()
    } catch (error) {
      if (isAway(asUnavailable(error, this.parts.decider()?.name ?? ''))) return false
      throw error
    }
  }

  /** Ends what operations do where no node has taken the lease in time. */
  check(): void {
    this.lease.check()
  }

  /** Gives the lease back where it can be. */
  async end(): Promise<void> {
    const { lease } = this
    this.lease = this.newLease()
    await lease.end()
  }

  private newLease(): ProcessLease {
    const { fence, warn } = this.parts
    return new ProcessLease({ epoch: () => this.current, fence, warn })
  }
}
