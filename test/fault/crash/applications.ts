import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** Processes that are ready before they are needed. */
const ahead = 2

/** How an application ended, and what it had told until then. */
export interface AppEnd<Message> {
  readonly wasKilled: boolean
  readonly messages: readonly Message[]
}

/** Starts applications ahead of their use: half a second each, while the round before still runs. */
export class Applications<Task extends object, Message> {
  private readonly ready: Promise<ChildProcess>[] = []

  /** @param program says that it is ready, and then waits for its task */
  constructor(private readonly program: string) {
    while (this.ready.length < ahead) this.ready.push(this.start())
  }

  /** Runs a task in a process of its own, to its end. */
  async run(task: Task): Promise<AppEnd<Message>> {
    this.ready.push(this.start())
    const app = await this.ready.shift()
    if (!app) throw new RangeError('There is always one ahead.')
    const messages: Message[] = []
    app.on('message', (message) => messages.push(message as Message))
    const ended = once(app, 'close')
    app.send(task)
    const [code, signal] = await ended
    if (signal !== 'SIGKILL' && code !== 0) throw new Error(`The application ended with ${code ?? signal}.`)
    return { wasKilled: signal === 'SIGKILL', messages }
  }

  async stop(): Promise<void> {
    for (const app of await Promise.all(this.ready)) app.kill('SIGKILL')
  }

  private async start(): Promise<ChildProcess> {
    const app = fork(this.program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    await once(app, 'message')
    return app
  }
}
