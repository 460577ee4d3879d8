/** Pieces of work that wait for one node's connection: the reader of the input stops until there are fewer. */
const maxWaiting = 4

/** Does one piece of work after the other, while more are made. */
export class LoadWorker {
  private readonly queue: Promise<void>[] = []

  /** @param work never fails: it keeps its errors itself. Resolves when there is room for more. */
  async push(work: () => Promise<void>): Promise<void> {
    const before = this.queue.at(-1) ?? Promise.resolve()
    const done = before.then(work).then(() => void this.queue.shift())
    this.queue.push(done)
    if (this.queue.length > maxWaiting) await this.queue[0]
  }

  /** Resolves when nothing waits or runs. */
  async rest(): Promise<void> {
    await this.queue.at(-1)
  }
}
