/** What waits for an answer of a node. */
export interface Waiting {
  /** The tick in which its wait began; undefined while it does not wait. */
  waitsSince?: number | undefined
  /** Of a session: the tick in which the node last answered it. */
  heardAt?: number
  /** Breaks the connection, so that the wait fails. */
  destroy(reason: Error): void
}

/** The bound is counted in so many ticks: in half of them nothing is heard, then a new connection is tried in the other half. */
const ticksOfBound = 4
const ticksToAsk = ticksOfBound / 2

/**
 * Notices a node that has fallen silent: frozen, or cut off without a word. A slow statement is no silence. When nothing was
 * heard of the node for half of the bound while a statement waits, the node is asked on a new connection; only when that
 * is not answered either, by success or by refusal, every wait is broken, and the node is asked again until it answers.
 *
 * Time is counted in ticks of a timer, of which a blocked event loop has one, however long it was blocked.
 */
export class SilenceWatch {
  /** Why the node is not to be waited for; undefined as long as it answers. */
  silence: Error | undefined
  /** Grows with each look. */
  tick = 0
  /** What waits, or has waited since the timer last looked. */
  private readonly waiting = new Set<Waiting>()
  /** They wait a thousand times between two looks, and note that themselves. */
  private readonly sessions = new Set<Waiting>()
  private heardAt = 0
  private question: { readonly at: number } | undefined
  private timer: NodeJS.Timeout | undefined
  private isEnded = false

  constructor(
    private readonly silenceMs: number,
    /** Tries a new connection. @returns false where nothing came back */
    private readonly ask: () => Promise<boolean>,
  ) {}

  /** Looks at a session from now on; the returned function ends that. */
  over(session: Waiting): () => void {
    if (this.silenceMs !== Number.POSITIVE_INFINITY) {
      this.sessions.add(session)
      this.timer ??= this.next()
    }
    return () => void this.sessions.delete(session)
  }

  /** A message was sent that the node is to answer. */
  begin(one: Waiting): void {
    if (this.silenceMs === Number.POSITIVE_INFINITY) return
    one.waitsSince = this.tick
    this.waiting.add(one)
    this.timer ??= this.next()
  }

  /** The wait is over. */
  end(one: Waiting, isAnswered: boolean): void {
    if (one.waitsSince === undefined) return
    one.waitsSince = undefined
    if (isAnswered) this.heardAt = this.tick
  }

  /** Breaks every wait, and watches no more. */
  stop(reason: Error): void {
    this.isEnded = true
    clearTimeout(this.timer)
    this.breakAll(reason)
  }

  private next(): NodeJS.Timeout {
    return setTimeout(() => this.look(), this.silenceMs / ticksOfBound).unref()
  }

  private look(): void {
    this.tick += 1
    const oldest = this.oldestWait()
    if (this.question && this.isPast(this.question.at)) {
      this.question = undefined
      this.fallSilent()
    }
    if (this.silence || (this.isPast(oldest) && this.isPast(this.heardAt))) this.askOnce()
    // Without a wait, and without a session, there is nothing to notice.
    const isNeeded = this.silence || this.waiting.size + this.sessions.size > 0
    this.timer = !this.isEnded && isNeeded ? this.next() : undefined
  }

  /** The tick in which the longest wait began, or this one. What waits no more is forgotten. */
  private oldestWait(): number {
    let oldest = this.tick
    for (const one of this.waiting) {
      if (one.waitsSince === undefined) this.waiting.delete(one)
      else oldest = Math.min(oldest, one.waitsSince)
    }
    for (const { waitsSince = oldest, heardAt = 0 } of this.sessions) {
      oldest = Math.min(oldest, waitsSince)
      this.heardAt = Math.max(this.heardAt, heardAt)
    }
    return oldest
  }

  private isPast(tick: number): boolean {
    return this.tick - tick >= ticksToAsk
  }

  private askOnce(): void {
    if (this.question) return
    const question = { at: this.tick }
    this.question = question
    const hear = (isAnswered: boolean): void => {
      if (!isAnswered) return
      if (this.question === question) this.question = undefined
      this.heardAt = this.tick
      this.silence = undefined
    }
    // A question that could not be asked has no answer.
    void this.ask().then(hear, () => undefined)
  }

  private fallSilent(): void {
    const reason = new Error(`it has answered nothing for ${this.silenceMs} ms, nor a new connection`)
    this.silence ??= reason
    this.breakAll(reason)
  }

  private breakAll(reason: Error): void {
    const waiting = [...this.waiting, ...this.sessions].filter(({ waitsSince }) => waitsSince !== undefined)
    this.waiting.clear()
    for (const one of waiting) {
      one.waitsSince = undefined
      one.destroy(reason)
    }
  }
}
