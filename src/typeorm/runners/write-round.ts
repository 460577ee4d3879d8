import { BoundClient } from '../../endpoints/bound-client'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { StatementResult } from '../../endpoints/statement-result'
import type { NodeWrite } from '../../planning/node-write'
import type { Arm } from '../../query/arm-source'
import type { Shard } from '../../topology/shard'
import { sendNodeWrites } from './send-node-writes'
import type { ShardTransaction } from './shard-transaction'

/** A part of a write: TypeORM's own operation on the query runner of its first shard. */
export interface RoundPart {
  /** Its one statement is that of all of these. */
  readonly shards: readonly Shard[]
  /** What the query runner speaks on, in place of its own client. */
  client(own: BoundClient): BoundClient
  /** The part has ended. With an error, the statements that have not been sent are not sent. */
  end(error?: { readonly reason: unknown }): void
}

/** The statement of a part, which waits for those of the others. */
interface Arrival {
  readonly part: RoundPart
  readonly text: string
  readonly parameters: readonly unknown[]
  readonly own: BoundClient
  readonly resolve: (result: StatementResult) => void
  readonly reject: (reason: unknown) => void
}

interface RoundSettings {
  readonly transaction: Pick<ShardTransaction, 'inTime'>
  /** The connection of the node of a shard, by the shard's name. */
  readonly connectionOf: (shard: string) => Promise<NodeConnection>
  /** Told of a node that has refused a united statement before it ran, and may take each shard's own. */
  readonly onRefused: (node: string) => void
  /** What is sent for the statements of shards, in their order. */
  readonly plan: (arms: readonly Arm[]) => readonly NodeWrite[]
}

/**
 * The statements of one write on several shards. The first statement of each part waits here until all other parts have
 * sent theirs or have ended. The statements then go to the nodes as planned, all nodes at once.
 *
 * All parts must join before any of them works, and all must work at once: they wait for each other.
 */
export class WriteRound {
  private readonly parts: RoundPart[] = []
  private readonly ended = new Set<RoundPart>()
  private readonly arrivals = new Map<RoundPart, Arrival>()
  private failure: { readonly reason: unknown } | undefined
  private hasBegun = false

  constructor(private readonly settings: RoundSettings) {}

  join(shards: readonly Shard[]): RoundPart {
    const part: RoundPart = {
      shards,
      client: (own) => new RoundClient(own, (text, parameters) => this.arrive({ part, text, parameters, own })),
      end: (error) => this.leave(part, error),
    }
    this.parts.push(part)
    return part
  }

  /** @returns undefined for a statement that is not the first of its part: that is the part's own affair */
  private arrive(given: Pick<Arrival, 'part' | 'text' | 'parameters' | 'own'>): Promise<StatementResult> | undefined {
    if (this.hasBegun || this.arrivals.has(given.part)) return undefined
    if (this.failure) return Promise.reject(this.failure.reason)
    return new Promise((resolve, reject) => {
      this.arrivals.set(given.part, { ...given, resolve, reject })
      this.proceed()
    })
  }

  private leave(part: RoundPart, error: { readonly reason: unknown } | undefined): void {
    this.ended.add(part)
    if (this.hasBegun) return
    if (error) this.fail(error.reason)
    else this.proceed()
  }

  private fail(reason: unknown): void {
    this.failure ??= { reason }
    for (const { reject } of this.arrivals.values()) reject(reason)
  }

  private proceed(): void {
    const { parts, ended, arrivals } = this
    if (this.hasBegun || this.failure || arrivals.size === 0) return
    if (parts.some((part) => !ended.has(part) && !arrivals.has(part))) return
    this.hasBegun = true
    this.run(parts.flatMap((part) => arrivals.get(part) ?? [])).catch((reason: unknown) => this.fail(reason))
  }

  private async run(arrivals: readonly Arrival[]): Promise<void> {
    const byShard = new Map<string, Arrival>()
    for (const arrival of arrivals) for (const { name } of arrival.part.shards) byShard.set(name, arrival)
    const arms = (await Promise.all(arrivals.map((arrival) => this.armsOf(arrival)))).flat()
    const sent = await sendNodeWrites(this.settings.plan(arms), {
      ...this.settings,
      cancellationOf: (name) => byShard.get(name)?.own.cancellation,
    })
    // The parts of the statement that failed are told first: what comes first is what went wrong.
    const isFailed = ({ part }: Arrival) => part.shards.some(({ name }) => sent.failure?.shards.includes(name))
    if (sent.failure) for (const { reject } of arrivals.filter(isFailed)) reject(sent.failure.reason)
    for (const { part, resolve, reject } of arrivals) {
      const results = part.shards.flatMap(({ name }) => sent.results.get(name) ?? [])
      if (results.length === part.shards.length) resolve(inOne(results))
      else reject(sent.failure?.reason)
    }
  }

  /** The statement on each shard. Its query runner has told it the time of the transaction, as the runner's node is to have it. */
  private async armsOf({ part, text, parameters }: Arrival): Promise<readonly Arm[]> {
    const told = new Map<string | undefined, Pick<Arm, 'text' | 'parameters'>>()
    const [first] = part.shards
    for (const { node } of part.shards) {
      if (told.has(node)) continue
      const timed = node === first?.node ? undefined : this.settings.transaction.inTime({ node, text, parameters })
      told.set(node, (await timed) ?? { text, parameters })
    }
    return part.shards.map((shard) => {
      const on = told.get(shard.node)
      return { shard, text: on?.text ?? text, parameters: on?.parameters ?? parameters }
    })
  }
}

/** The results of shards as one statement's. */
function inOne(results: readonly StatementResult[]): StatementResult {
  const [first, another] = results
  if (!first || !another) return first ?? { command: '', rowCount: 0, rows: [], fields: [], oid: 0 }
  const rowCount = results.reduce((sum, result) => sum + (result.rowCount ?? 0), 0)
  return { ...first, rowCount, rows: results.flatMap(({ rows }) => rows) }
}

type Arrive = (text: string, parameters: readonly unknown[]) => Promise<StatementResult> | undefined

/** The client of a query runner whose first statement goes with those of other parts. */
class RoundClient extends BoundClient {
  constructor(
    private readonly own: BoundClient,
    private readonly arrive: Arrive,
  ) {
    super(own.connection, (text) => text, undefined, own.cancellation)
  }

  override query(...[text, values, callback]: Parameters<BoundClient['query']>): unknown {
    const isPlain = typeof text === 'string' && typeof values !== 'function' && !callback
    return (isPlain ? this.arrive(text, values ?? []) : undefined) ?? this.own.query(text, values, callback)
  }
}
