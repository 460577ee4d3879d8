import type { StatementEvent } from '../endpoints/statement'

/** What a place was asked by this process. */
export interface Load {
  readonly statements: number
  /** From sending a statement to its answer, together: statements that run at once count each. */
  readonly milliseconds: number
}

interface Counter {
  statements: number
  milliseconds: number
}

/**
 * Counts the statements of this process by node and by shard. A statement of several shards, and one of the home node's own tables, is
 * its node's alone.
 */
export class StatementLoad {
  private nodes = new Map<string, Counter>()
  private shards = new Map<string, Counter>()
  private since = new Date()

  /** Called after every statement. */
  readonly listener = ({ node, shard, milliseconds }: StatementEvent): void => {
    countOn(this.nodes, node, milliseconds)
    if (shard !== undefined) countOn(this.shards, shard, milliseconds)
  }

  /** When it began to count. */
  get countedSince(): Date {
    return this.since
  }

  ofNode(node: string): Load {
    return loadOf(this.nodes.get(node))
  }

  ofShard(shard: string): Load {
    return loadOf(this.shards.get(shard))
  }

  reset(): void {
    this.nodes = new Map()
    this.shards = new Map()
    this.since = new Date()
  }
}

function countOn(counters: Map<string, Counter>, name: string, milliseconds: number): void {
  const counter = counters.get(name)
  if (counter) {
    counter.statements += 1
    counter.milliseconds += milliseconds
  } else counters.set(name, { statements: 1, milliseconds })
}

const loadOf = ({ statements, milliseconds }: Counter = { statements: 0, milliseconds: 0 }): Load =>
  Object.freeze({ statements, milliseconds })
