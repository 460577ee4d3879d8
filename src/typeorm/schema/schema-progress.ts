import { ShardedError } from '../../errors/sharded-error'

/** One schema that is changed. */
export interface SchemaPlace {
  readonly node: string
  /** Undefined for the home node's own tables. */
  readonly shard: string | undefined
}

/** Shards that one message names. */
const maxNamed = 10

/** Which schemas a change of all has reached, for the error of the one that failed. */
export class SchemaProgress {
  private readonly done: SchemaPlace[] = []
  private readonly failed: Map<unknown, SchemaPlace> = new Map()

  async follow(place: SchemaPlace, work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.done.push(Object.freeze(place))
    } catch (error) {
      this.failed.set(error, place)
      throw error
    }
  }

  /** What `call` throws for the error of a schema. An error of this package names its node itself. */
  failureOf(call: string, error: unknown): unknown {
    const place = this.failed.get(error)
    if (!place || error instanceof ShardedError) return error
    const reason = error instanceof Error ? error.message : String(error)
    const names = this.done.slice(0, maxNamed).map(placeText)
    const more = this.done.length - names.length
    const done =
      this.done.length === 0
        ? 'No other one is done.'
        : `Done, and not undone: ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`
    return new ShardedError('SCHEMA_INCOMPLETE', `${call} failed on ${placeText(place)}: ${reason}. ${done}`, {
      details: { ...place, done: Object.freeze([...this.done]) },
      cause: error,
    })
  }
}

const placeText = ({ node, shard }: SchemaPlace): string =>
  shard === undefined ? `the own tables of node ${node}` : `shard ${shard} of node ${node}`
