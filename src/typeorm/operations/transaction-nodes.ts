import { type EntityManager, QueryRunnerAlreadyReleasedError, TransactionNotStartedError } from 'typeorm'
import { Activity } from '../../endpoints/activity'
import { BoundClient } from '../../endpoints/bound-client'
import type { Cancellation } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import { ShardedError } from '../../errors/sharded-error'
import type { Shard } from '../../topology/shard'
import { NodeTransaction } from '../../transactions/node-transaction'
import { checkInside, type SessionScript } from '../../transactions/session-script'
import { ParticipantQueryRunner } from '../runners/participant-query-runner'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardTransaction } from '../runners/shard-transaction'

/** One node of a transaction: its connection and its PostgreSQL transaction, shared by all of the node's shards. */
export interface TransactionNode {
  readonly transaction: NodeTransaction
  /** The shards that the transaction has touched. */
  readonly shards: Set<string>
  readonly isHome: boolean
  /** Its connection is the one that the runner has taken for itself. */
  readonly isOwn: boolean
}

/** What the nodes need of the query runner whose transaction it is. */
export interface NodesHost {
  /** The runner that users see, which also is the holder of turns. */
  readonly runner: ShardTransaction
  readonly runtime: ShardRuntime
  /** Takes the runner's own connection to the home node, and keeps it for a transaction. */
  connectForTransaction(): Promise<BoundClient>
  /** Gives the runner's own connection back as a broken one. */
  closeConnection(): void
}

/** What the nodes need of the transaction. */
interface OpenTransaction {
  readonly isActive: boolean
  readonly isolation: string | undefined
  readonly script: SessionScript
}

/** The nodes that a transaction has opened, each when it was first touched. */
export class TransactionNodes {
  private readonly opening = new Map<string, Promise<TransactionNode>>()
  private readonly opened: TransactionNode[] = []
  /** Query runners of shards that have work. */
  private readonly runners = new Set<ParticipantQueryRunner>()
  /** Connections by their nodes that a shard's runner holds, and shares with this transaction. */
  private readonly adopted = new Map<string, NodeConnection>()
  /** The transaction ends: see `close`. */
  private isClosing = false
  /** In the mode `single-shard`, the shard of the transaction. */
  private onlyShard: Shard | undefined
  readonly activity = new Activity()

  constructor(
    private readonly host: NodesHost,
    private readonly transaction: OpenTransaction,
  ) {}

  get isEmpty(): boolean {
    return this.opening.size === 0
  }

  get isEnding(): boolean {
    return this.isClosing
  }

  /** The node that was opened first, whose time is that of the transaction. */
  get first(): NodeTransaction | undefined {
    return this.opened[0]?.transaction
  }

  /** True where all that was opened is this node. */
  isOnly(node: string): boolean {
    return this.opened.length < 2 && this.first?.node === node
  }

  adopt(node: string, connection: NodeConnection): void {
    this.adopted.set(node, connection)
  }

  get hasAdopted(): boolean {
    return this.adopted.size > 0
  }

  adoptedOn(node: string): NodeConnection | undefined {
    return this.adopted.get(node)
  }

  /** Runs work with a query runner of a shard that nobody else works with. */
  async onRunner<T>(
    shard: Shard,
    work: (manager: EntityManager) => Promise<T>,
    cancellation: Cancellation | undefined,
  ): Promise<T> {
    const opening = this.connectionFor(shard)
    const connection = await (cancellation?.race(opening) ?? opening)
    const { dataSource, bind } = this.host.runtime.handle(shard)
    const client = new BoundClient(connection, bind, shard.name, cancellation)
    const runner = new ParticipantQueryRunner(dataSource, client, this.host.runner)
    this.runners.add(runner)
    try {
      return await work(runner.manager)
    } finally {
      runner.end()
      this.runners.delete(runner)
    }
  }

  async connectionFor(shard: Shard): Promise<NodeConnection> {
    return (await this.touch(shard)).transaction.connection
  }

  /**
   * Opens a node at the present depth of savepoints. Two calls at once open it once.
   *
   * @throws QueryRunnerAlreadyReleasedError where the transaction ends or has ended: what comes then would be written outside of it
   */
  async open(node: string): Promise<TransactionNode> {
    if (this.isClosing || !this.transaction.isActive) throw new QueryRunnerAlreadyReleasedError()
    const known = this.opening.get(node)
    if (known) return known
    const [other] = this.opening.keys()
    if (other !== undefined && this.host.runtime.transactions.mode === 'single-shard')
      throw singleShard(`node ${other}`, `node ${node}`)
    const opening = this.begin(node)
    this.opening.set(node, opening)
    opening.then(
      (opened) => this.join(opened),
      () => this.opening.delete(node),
    )
    return opening
  }

  /** The nodes that are open when those that are being opened have come or failed. */
  async settled(): Promise<readonly TransactionNode[]> {
    const settled = await Promise.allSettled(this.opening.values())
    return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  }

  /**
   * Takes no statement from here on: one that is sent after PREPARE TRANSACTION would be a write of its own.
   *
   * @throws TransactionNotStartedError where another call ends the transaction already
   */
  async close(): Promise<readonly TransactionNode[]> {
    if (this.isClosing) throw new TransactionNotStartedError()
    this.isClosing = true
    const nodes = await this.settled()
    for (const runner of this.runners) runner.end()
    // How it ends is said to each node by itself.
    for (const { transaction } of nodes) transaction.connection.failedElsewhere = undefined
    return nodes
  }

  /** Gives the connections back after the end, and closes those that are not at rest. */
  leave(nodes: readonly TransactionNode[]): void {
    this.opening.clear()
    this.opened.length = 0
    this.onlyShard = undefined
    for (const { transaction, isOwn } of nodes) {
      const { connection } = transaction
      connection.lockWatch = undefined
      connection.activity = undefined
      this.activity.leave(connection)
      const isBroken = !connection.isAtRest
      transaction.release(isBroken)
      if (isBroken && isOwn) this.host.closeConnection()
    }
    this.isClosing = false
  }

  private async touch(shard: Shard): Promise<TransactionNode> {
    this.admit(shard)
    const node = await this.open(shard.node)
    node.shards.add(shard.name)
    return node
  }

  /** @throws ShardedError SESSION_NOT_HELD; SINGLE_SHARD_TRANSACTION for a second shard where only one is allowed */
  private admit(shard: Shard): void {
    checkInside(this.transaction.script)
    if (this.host.runtime.transactions.mode !== 'single-shard') return
    this.onlyShard ??= shard
    if (this.onlyShard.name === shard.name) return
    throw singleShard(`shard ${this.onlyShard.name}`, `shard ${shard.name}`)
  }

  private async begin(name: string): Promise<TransactionNode> {
    const { runtime, runner } = this.host
    const { isolation, script } = this.transaction
    const isHome = name === runtime.map.home
    const node = { shards: new Set<string>(), isHome }
    const settings = { isolation, script: () => script.forNode(node) }
    const pool = runtime.pool(name)
    const adopted = this.adopted.get(name)
    // The home node speaks on the runner's own connection, which may have been taken before the transaction.
    const client = adopted || !isHome ? undefined : await this.host.connectForTransaction()
    const held = adopted ?? client?.connection
    const transaction = held
      ? await NodeTransaction.over(name, held, settings)
      : await NodeTransaction.open(pool, runner, settings)
    // Before it may wait for a lock.
    if (pool.pooling !== 'none' && pool.lockWatch) await transaction.learnPid()
    return { transaction, ...node, isOwn: client !== undefined }
  }

  private join(node: TransactionNode): void {
    this.opened.push(node)
    const { connection } = node.transaction
    connection.activity = this.activity
    this.activity.add(connection)
    // A wait in a circle over several nodes is seen by no server, nor what has failed on another one.
    if (this.opened.length < 2) return
    for (const { transaction } of this.opened) {
      const { connection: own } = transaction
      own.lockWatch = this.host.runtime.pool(transaction.node).lockWatch
      own.failedElsewhere = () =>
        this.opened.some((one) => one.transaction.connection !== own && one.transaction.connection.isTransactionFailed)
    }
  }
}

const singleShard = (first: string, second: string): ShardedError =>
  new ShardedError(
    'SINGLE_SHARD_TRANSACTION',
    `The transaction is on ${first}, and a statement of it needs ${second} too.`,
    { details: { first, second } },
  )
