export { type ErrorCode, errorCatalogue } from './errors/error-catalogue'
export type { ErrorLabel } from './errors/error-label'
export { type ErrorDetails, ShardedError } from './errors/sharded-error'
export { CommitOutcomeUnknownError, PartialCommitError, TransactionAbortedError } from './errors/transaction-errors'
export type { ScatterLimits } from './execution/scatter-limits'
export type { StatementEvent, StatementListener } from './execution/statement-event'
export { composite } from './functions/composite'
export { type CustomOptions, custom } from './functions/custom'
export { type HashOptions, hash } from './functions/hash'
export { type ListOptions, type ListValue, list } from './functions/list'
export { type RangeBound, type RangeOptions, range } from './functions/range'
export type { ShardingFunction } from './functions/sharding-function'
export { type TimeOptions, time } from './functions/time'
export { type DecodedShardedId, decodeShardedId } from './ids/decode-sharded-id'
export { formatShardedId } from './ids/format-sharded-id'
export type { ShardedIdKind } from './ids/sharded-id-kind'
export type { LookupDecorator } from './metadata/declare-lookup'
export { GlobalUnique } from './metadata/global-unique'
export { LookupIndex, type LookupIndexOptions } from './metadata/lookup-index'
export { ShardKey } from './metadata/shard-key'
export { type Colocation, Sharded } from './metadata/sharded'
export { ShardedId } from './metadata/sharded-id'
export type { KeyChangePolicy, Layout, ScatterOptions, ScatterPolicy, ShardedOptions } from './metadata/sharded-options'
export { shardedSchema } from './metadata/sharded-schema'
export type { Explanation } from './planning/explanation'
export type { NodeStatement } from './planning/scatter-statement'
export type { Shard } from './topology/shard'
export type { ShardMap } from './topology/shard-map'
export type { ControlPoint, ControlPointListener } from './transactions/control-point'
export type { PendingTransaction, RecoveryReport } from './transactions/recover-transactions'
export type { TransactionMode } from './transactions/transaction-mode'
export type { LoadedShard, LoadOptions, LoadReport } from './typeorm/load-options'
export type {
  BuildLookupsOptions,
  LookupBuildProgress,
  LookupDifference,
  LookupReport,
} from './typeorm/lookup-maintenance'
export type { MoveOptions } from './typeorm/move-entity'
export { Page, type PageEdge, type PageInfo } from './typeorm/page'
export { maxPageSize, type PageOptions } from './typeorm/page-options'
export { type Location, ShardedDataSource } from './typeorm/sharded-data-source'
export type {
  CursorOptions,
  DataSourceScatterOptions,
  GroupOptions,
  NodeOptions,
  ShardedDataSourceOptions,
} from './typeorm/sharded-data-source-options'
export { ShardedEntityManager } from './typeorm/sharded-entity-manager'
export { ShardedSelectQueryBuilder } from './typeorm/sharded-query-builders'
export { ShardedRepository } from './typeorm/sharded-repository'
export type { EntityStream, StreamOptions } from './typeorm/stream-entities'
