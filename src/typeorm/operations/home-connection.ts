import { BoundClient } from '../../endpoints/bound-client'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { NodePool } from '../../endpoints/node-pool'

/** The query runner, as its connection to the home node needs it. */
interface HomeHost {
  /** The holder of turns. */
  readonly runner: object
  readonly homePool: NodePool
  readonly isInTransaction: boolean
  /** A connection of the home node that a shard's runner shares with this one. */
  readonly adoptedHome: NodeConnection | undefined
  /** TypeORM has the connection. */
  readonly isConnected: boolean
  /** TypeORM's own `connect`. @throws CannotExecuteNotConnectedError where the data source was destroyed meanwhile */
  openConnection(): Promise<BoundClient>
}

/**
 * The connection of a query runner to the home node, kept until `release`: in the turn of a transaction, since it is kept as
 * long. Queries outside of a transaction take it without a turn, for they always come to an end.
 */
export class HomeConnection {
  /** It is kept in a turn, or waits for one. */
  hasTurn = false
  /** Queries outside of a transaction that run on it. */
  private shortUses = 0

  constructor(private readonly host: HomeHost) {}

  connect(): Promise<BoundClient> {
    const { adoptedHome, isConnected, isInTransaction } = this.host
    // Where a shard's runner holds a connection of the home node for this one, it needs none of its own.
    if (adoptedHome) return Promise.resolve(new BoundClient(adoptedHome, asWritten, undefined))
    const needsNoTurn = this.hasTurn || isConnected || (this.shortUses > 0 && !isInTransaction)
    return needsNoTurn ? this.host.openConnection() : this.connectInTurn()
  }

  /** Runs a query outside of a transaction, or one of the transaction that has the connection. */
  async use<T>(query: () => Promise<T>): Promise<T> {
    this.shortUses += 1
    try {
      return await query()
    } finally {
      this.shortUses -= 1
    }
  }

  /**
   * Takes the connection for a transaction: one that was taken for a query gets a turn now. Where no turn is free it goes on
   * without: those that have the turns may be waiting for this connection.
   */
  async connectForTransaction(): Promise<BoundClient> {
    const client = await this.connect()
    if (this.hasTurn) return client
    const giveBack = this.host.homePool.transactions.tryTake(this.host.runner)
    if (!giveBack) return client
    this.hasTurn = true
    client.connection.onRetire(giveBack)
    return client
  }

  private async connectInTurn(): Promise<BoundClient> {
    this.hasTurn = true
    try {
      const giveBack = await this.host.homePool.transactions.take(this.host.runner)
      const client = await this.host.openConnection().catch((error: unknown) => {
        giveBack()
        throw error
      })
      client.connection.onRetire(giveBack)
      return client
    } catch (error) {
      this.hasTurn = false
      throw error
    }
  }
}

export const asWritten = (text: string): string => text
