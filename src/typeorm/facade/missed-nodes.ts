import { setTimeout as pause } from 'node:timers/promises'
import { ShardedError } from '../../errors/sharded-error'
import { isAway } from './node-sessions'

/** A node that answers again is noticed after so many milliseconds at the latest. */
const lookEveryMs = 1_000

interface MissedParts {
  /** Checks a node and takes it over. @throws ShardedError SHARD_UNAVAILABLE where it still does not answer */
  readonly admit: (node: string) => Promise<void>
  /** Told why a node that answers is refused. */
  readonly refused: (node: string, error: ShardedError) => void
}

/** The nodes that a start lacked: each is asked until it answers, and is taken over when it was checked. */
export class MissedNodes {
  private isEnded = false
  private readonly asking: Promise<void>[] = []
  private readonly end = new AbortController()

  constructor(private readonly parts: MissedParts) {}

  start(nodes: Iterable<string>): void {
    for (const node of nodes) this.asking.push(this.ask(node))
  }

  /** Waits for what was begun. */
  async stop(): Promise<void> {
    this.isEnded = true
    this.end.abort()
    await Promise.all(this.asking)
  }

  /** One question at a time. What refuses a node may be mended while this process runs, so it is asked again. */
  private async ask(node: string): Promise<void> {
    while (!this.isEnded) {
      await pause(lookEveryMs, undefined, { signal: this.end.signal, ref: false }).catch(() => undefined)
      if (this.isEnded) return
      try {
        await this.parts.admit(node)
        return
      } catch (error) {
        if (!isAway(error)) this.parts.refused(node, refusal(node, error))
      }
    }
  }
}

const refusal = (node: string, error: unknown): ShardedError =>
  error instanceof ShardedError
    ? error
    : new ShardedError('SHARD_UNAVAILABLE', `Node ${node} answers, and could not be checked: ${String(error)}.`, {
        details: { node },
        cause: error,
      })
