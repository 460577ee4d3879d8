/** Periods are looked at so often, in milliseconds: they are days at the shortest, and made ahead. */
const everyMs = 3_600_000

/** Makes the shards of periods in time, and does away with old ones, while a data source runs. */
export class PeriodTimer {
  private timer: NodeJS.Timeout | undefined
  private running: Promise<void> | undefined
  private reported: string | undefined

  constructor(
    private readonly sync: () => Promise<unknown>,
    private readonly warn: (text: string) => void,
  ) {}

  /** Looks now, and from now on every hour. */
  start(): void {
    this.look()
    this.timer = setInterval(() => this.look(), everyMs).unref()
  }

  /** Waits for what was begun. */
  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.running
  }

  private look(): void {
    this.running ??= this.sync()
      .then(
        () => undefined,
        (error: unknown) => this.report(String(error)),
      )
      .finally(() => {
        this.running = undefined
      })
  }

  /** A role that may not make tables would say so every hour. */
  private report(reason: string): void {
    if (reason !== this.reported) this.warn(`The shards of periods were not brought up to date. ${reason}`)
    this.reported = reason
  }
}
