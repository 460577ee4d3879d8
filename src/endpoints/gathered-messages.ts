/** The socket of a connection, as far as messages are written to it. */
interface Socket {
  readonly writable: boolean
  write(message: Buffer): boolean
}

/** What pg sends messages by. */
export interface Sender {
  readonly stream: object
}

/** Bytes up to which messages are copied into one: to copy more costs more than a write. */
const maxCopied = 16_384

/**
 * Messages of one statement on their way to the server, which go to the socket in one write. pg writes each message, and
 * corks the socket meanwhile: for a find by key, four writes in JavaScript and a system call over four buffers take twice
 * as long as to copy some hundred bytes.
 *
 * @example
 * const gathered = new GatheredMessages(connection)
 * gathered.sender.bind({ statement: 'by_id', values: ['1'] })
 * gathered.sender.sync()
 * gathered.flush() // both in one write
 */
export class GatheredMessages<Wire extends Sender> {
  /** The connection, but for that what it sends is gathered. */
  readonly sender: Wire
  /** The same, and it asks for no description of rows. */
  readonly quiet: Wire
  private readonly messages: Buffer[] = []

  constructor(private readonly wire: Wire) {
    const { messages } = this
    const gathering: Socket = {
      get writable() {
        return (wire.stream as Socket).writable
      },
      write: (message) => messages.push(message) > 0,
    }
    this.sender = Object.create(wire, { stream: { value: gathering } })
    this.quiet = Object.create(this.sender, { describe: { value: () => undefined } })
  }

  /** Sends what was gathered. */
  flush(): void {
    const socket = this.wire.stream as Socket
    const messages = this.messages.splice(0)
    const bytes = messages.reduce((sum, { length }) => sum + length, 0)
    if (bytes <= maxCopied) socket.write(Buffer.concat(messages, bytes))
    else for (const message of messages) socket.write(message)
  }
}
