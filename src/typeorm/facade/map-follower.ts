import { setTimeout as sleep } from 'node:timers/promises'
import type { ShardMap } from '../../topology/shard-map'

/** A process hears of a change after so many milliseconds at the latest. */
const lookEveryMs = 1_000

/** How long an operation waits for a shard that is between two nodes, and how often it looks, in milliseconds. */
const switchMs = 10_000
const lookAgainMs = 10

interface FollowerParts {
  /** Is called as often as is asked, also while a question has no answer. */
  readonly tick: () => void
  readonly current: () => ShardMap
  /** Whether the home node has noted a change since it was read. */
  readonly hasChanged: () => Promise<boolean>
  /** Reads what is stored, and takes it over where it differs. */
  readonly take: () => Promise<void>
  /** Whether a shard is just between two nodes. */
  readonly isSwitching: () => Promise<boolean>
}

/** Keeps a running data source to the shard map that its databases have. */
export class MapFollower {
  private timer: NodeJS.Timeout | undefined
  private taking: Promise<void> | undefined
  private isLooking = false
  /** The end of what changes the map, or the nodes: one at a time. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(private readonly parts: FollowerParts) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), lookEveryMs).unref()
  }

  /** Waits for what was begun. */
  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.last
  }

  /** The present map, read by all who ask at the same time together. */
  follow(): Promise<void> {
    this.taking ??= this.alone(this.parts.take).finally(() => {
      this.taking = undefined
    })
    return this.taking
  }

  /** Runs what changes the map, or the nodes, while nothing else does. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.last.then(work)
    this.last = run.catch(() => undefined)
    return run
  }

  /**
   * Whether there is another map than one by which something was not found. A shard that is between two nodes is waited for.
   *
   * @throws what the home node answers
   */
  async isBehind(map: ShardMap): Promise<boolean> {
    const { current, isSwitching } = this.parts
    const until = performance.now() + switchMs
    for (;;) {
      if (current() !== map) return true
      // What a switch has stored is asked before the map, which it stores last.
      const mayChange = await isSwitching()
      await this.follow()
      if (current() !== map) return true
      if (!mayChange || performance.now() > until) return false
      await sleep(lookAgainMs)
    }
  }

  /** What obeys an old map, since the home node is away, is refused by the shards that have moved. */
  private async look(): Promise<void> {
    this.parts.tick()
    // One at a time: a node that does not answer would soon hold all connections that such questions have.
    if (this.taking || this.isLooking) return
    this.isLooking = true
    try {
      if (await this.parts.hasChanged()) await this.follow()
    } catch {
      // It is asked again.
    } finally {
      this.isLooking = false
    }
  }
}
