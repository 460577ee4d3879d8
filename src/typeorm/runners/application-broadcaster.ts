import type { DataSource, QueryRunner } from 'typeorm'
import { RestingBroadcaster } from './resting-broadcaster'

/** A query runner of a shard, and the one that users are to see in its place. */
export interface EventHost extends QueryRunner {
  readonly dataSource: DataSource
  /** Made when it is first asked for. */
  readonly application: QueryRunner
}

/**
 * The one place that decides what of a shard's query runner subscribers see: the application's query runner, its manager and
 * its data source. An event's manager so reads and writes all shards, and within the transaction that the event is of.
 */
export class ApplicationBroadcaster extends RestingBroadcaster {
  constructor(readonly host: EventHost) {
    super(host)
  }

  static {
    // The field is private to TypeORM, whose events are made of it. Where nobody listens, it makes none.
    Object.defineProperty(ApplicationBroadcaster.prototype, 'queryRunner', {
      get(this: ApplicationBroadcaster) {
        const { host } = this
        return host === undefined || host.dataSource.subscribers.length === 0 ? host : host.application
      },
      // TypeORM's constructor sets it.
      set() {},
    })
  }
}
