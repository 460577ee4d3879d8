export type { ServingProcess } from './catalog/process-lease'
export type { StatementEvent, StatementListener } from './endpoints/statement'
export { type ErrorCode, errorCatalogue } from './errors/error-catalogue'
export type { ErrorLabel } from './errors/error-label'
export { type ErrorDetails, ShardedError } from './errors/sharded-error'
export { CommitOutcomeUnknownError, PartialCommitError, TransactionAbortedError } from './errors/transaction-errors'
export type { ScatterLimits } from './execution/operation'
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
export type { LookupDecorator } from './model/lookup'
export { GlobalUnique, LookupIndex, type LookupIndexOptions } from './model/lookup'
export { ReferenceTable, type ReferenceTableOptions, referenceSchema } from './model/reference-table'
export { type Colocation, type HiddenKey, Sharded, ShardedId, ShardKey, shardedSchema } from './model/sharded'
export type {
  KeyChangePolicy,
  Layout,
  ReferenceSeed,
  ScatterOptions,
  ScatterPolicy,
  ShardedOptions,
} from './model/sharded-options'
export type {
  DescribedEntity,
  DescribedPart,
  DescribedPlace,
  ShardingDescription,
} from './model/sharding-description'
export type { Explanation } from './planning/explain-plan'
export type { GatherPlan } from './planning/gather-plan'
export type { EntitiesPlan, ReadPlan } from './planning/read-plan'
export type { NodeStatement } from './planning/scatter-statement'
export type { WritePlan } from './planning/write-plan'
export { formatReport } from './rebalancing/format-report'
export type {
  Balance,
  BalanceMeasure,
  KeptShard,
  MovePlan,
  NodeCapacity,
  PlannedMove,
} from './rebalancing/plan-moves'
export type { ExecuteOptions, PlanResult, RanMove } from './rebalancing/run-plan'
export type { MoveProgress, TableProgress } from './rebalancing/shard-move'
export type { MoveState } from './rebalancing/shard-move-state'
export type { Load } from './rebalancing/statement-load'
export type { GroupReport, HotKey, NodeReport, ShardReport, Skew, TopologyReport } from './rebalancing/topology-report'
export type { Shard } from './topology/shard'
export type { ShardMap } from './topology/shard-map'
export type { ControlPoint, ControlPointListener } from './transactions/control-point'
export type { PendingTransaction, RecoveryReport } from './transactions/recover-transactions'
export type { TransactionMode } from './transactions/transaction-mode'
export type { PlacementFault } from './typeorm/binding/row-placement'
export type { Federation, FederationOptions } from './typeorm/facade/federation'
export { type Location, ShardedDataSource } from './typeorm/facade/sharded-data-source'
export type {
  CursorOptions,
  DataSourceScatterOptions,
  GatherOptions,
  GroupOptions,
  LoadStatisticsOptions,
  NodeOptions,
  ShardedDataSourceOptions,
} from './typeorm/facade/sharded-data-source-options'
export { ShardedEntityManager } from './typeorm/facade/sharded-entity-manager'
export { ShardedRepository } from './typeorm/facade/sharded-repository'
export type { TopologyChanges, UndroppedShard } from './typeorm/facade/sync-periods'
export type { DriveMoveOptions, MoveShardOptions, ShardMoveReport, Topology } from './typeorm/facade/topology'
export type { PlanOptions } from './typeorm/facade/topology-plan'
export type { ReportOptions } from './typeorm/facade/topology-report'
export { maxPageSize, Page, type PageEdge, type PageInfo, type PageOptions } from './typeorm/find/page'
export type { LoadedShard, LoadOptions, LoadReport } from './typeorm/loads/load-options'
export type {
  BuildLookupsOptions,
  LookupBuildProgress,
  LookupDifference,
  LookupReport,
} from './typeorm/lookups/lookup-maintenance'
export type { MoveOptions } from './typeorm/operations/move-entity'
export { ShardedSelectQueryBuilder } from './typeorm/operations/sharded-query-builders'
export type { EntityStream, StreamOptions } from './typeorm/reads/stream-entities'
export type {
  MisplacedRow,
  PlacementProgress,
  PlacementReport,
  VerifyPlacementOptions,
} from './typeorm/reads/verify-placement'
export type { RelationReport } from './typeorm/reads/verify-relations'
export type { ReferenceReport } from './typeorm/references/verify-references'
