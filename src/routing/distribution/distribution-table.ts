import type { NodeTag } from '../../sql/tree'
import { alike, type Distribution, refusedNode } from './distribution'
import { expressionNodes } from './expression-nodes'
import { jsonNodes } from './json-nodes'
import { queryNodes } from './query-nodes'
import { writeNodes } from './write-nodes'

const refusals = ['test/parity/sql/refused.test.ts'] as const
const merges = ['test/parity/sql/merge.test.ts'] as const
const tests = ['test/unit/routing/distribution.test.ts'] as const

/** What is refused over several shards. */
export const refusedNodes = {
  RangeTableSample: refusedNode('TABLESAMPLE', 'TABLESAMPLE draws its rows from one table.', refusals),
  TableSampleClause: refusedNode('TABLESAMPLE', 'TABLESAMPLE draws its rows from one table.', refusals),
  MergeStmt: refusedNode('MERGE', 'MERGE may put rows on shards that are not theirs.', merges),
  MergeWhenClause: refusedNode('WHEN of MERGE', 'MERGE may put rows on shards that are not theirs.', merges),
  MergeAction: refusedNode('WHEN of MERGE', 'MERGE may put rows on shards that are not theirs.', merges),
  MergeSupportFunc: refusedNode('MERGE_ACTION()', 'MERGE may put rows on shards that are not theirs.', merges),
  CurrentOfExpr: refusedNode('WHERE CURRENT OF', 'A cursor is of one node.', refusals),
  IntoClause: refusedNode('SELECT INTO', 'A table that a statement makes would be made on every shard.', refusals),
} as const

/** Nodes of other statements: definitions, grants, session commands. */
export const otherNodes = alike(
  `
  RoleSpec TableLikeClause DefElem PartitionElem PartitionSpec PartitionBoundSpec PartitionRangeDatum PartitionCmd
  TriggerTransition ReturnStmt PLAssignStmt CreateSchemaStmt AlterTableStmt AlterTableCmd ATAlterConstraint
  ReplicaIdentityStmt AlterCollationStmt AlterDomainStmt GrantStmt ObjectWithArgs AccessPriv GrantRoleStmt
  AlterDefaultPrivilegesStmt CopyStmt VariableSetStmt VariableShowStmt CreateStmt Constraint CreateTableSpaceStmt
  DropTableSpaceStmt AlterTableSpaceOptionsStmt AlterTableMoveAllStmt CreateExtensionStmt AlterExtensionStmt
  AlterExtensionContentsStmt CreateFdwStmt AlterFdwStmt CreateForeignServerStmt AlterForeignServerStmt
  CreateForeignTableStmt CreateUserMappingStmt AlterUserMappingStmt DropUserMappingStmt ImportForeignSchemaStmt
  CreatePolicyStmt AlterPolicyStmt CreateAmStmt CreateTrigStmt CreateEventTrigStmt AlterEventTrigStmt
  CreatePLangStmt CreateRoleStmt AlterRoleStmt AlterRoleSetStmt DropRoleStmt CreateSeqStmt AlterSeqStmt DefineStmt
  CreateDomainStmt CreateOpClassStmt CreateOpClassItem CreateOpFamilyStmt AlterOpFamilyStmt DropStmt TruncateStmt
  CommentStmt SecLabelStmt DeclareCursorStmt ClosePortalStmt FetchStmt IndexStmt CreateStatsStmt StatsElem
  AlterStatsStmt CreateFunctionStmt FunctionParameter AlterFunctionStmt DoStmt CallStmt RenameStmt
  AlterObjectDependsStmt AlterObjectSchemaStmt AlterOwnerStmt AlterOperatorStmt AlterTypeStmt RuleStmt NotifyStmt
  ListenStmt UnlistenStmt TransactionStmt CompositeTypeStmt CreateEnumStmt CreateRangeStmt AlterEnumStmt ViewStmt
  LoadStmt CreatedbStmt AlterDatabaseStmt AlterDatabaseRefreshCollStmt AlterDatabaseSetStmt DropdbStmt
  AlterSystemStmt ClusterStmt VacuumStmt VacuumRelation ExplainStmt CreateTableAsStmt RefreshMatViewStmt
  CheckPointStmt DiscardStmt LockStmt ConstraintsSetStmt ReindexStmt CreateConversionStmt CreateCastStmt
  CreateTransformStmt PrepareStmt ExecuteStmt DeallocateStmt DropOwnedStmt ReassignOwnedStmt AlterTSDictionaryStmt
  AlterTSConfigurationStmt PublicationTable PublicationObjSpec CreatePublicationStmt AlterPublicationStmt
  CreateSubscriptionStmt AlterSubscriptionStmt DropSubscriptionStmt`,
  refusedNode('other statements', 'Only SELECT, INSERT, UPDATE and DELETE run over shards.', tests),
)

/** Nodes that PostgreSQL makes after parsing, and that no text can have. */
export const internalNodes = alike(
  `
  ParseResult ScanResult OidList IntList TableFunc Var Param Aggref WindowFunc WindowFuncRunCondition
  SubscriptingRef FuncExpr OpExpr DistinctExpr NullIfExpr ScalarArrayOpExpr SubPlan AlternativeSubPlan FieldSelect
  FieldStore RelabelType CoerceViaIO ArrayCoerceExpr ConvertRowtypeExpr CollateExpr CaseTestExpr ArrayExpr
  RowCompareExpr JsonConstructorExpr JsonExpr JsonTablePath JsonTablePathScan JsonTableSiblingJoin CoerceToDomain
  CoerceToDomainValue NextValueExpr InferenceElem ReturningExpr TargetEntry RangeTblRef FromExpr OnConflictExpr
  Query RangeTblEntry RTEPermissionInfo RangeTblFunction WithCheckOption SortGroupClause WindowClause
  RowMarkClause RawStmt SetOperationStmt ScanToken SummaryResult Table Function FilterColumn CallContext
  InlineCodeBlock`,
  refusedNode('nodes of the planner', 'The parser makes no such node.', tests),
)

/**
 * What is proven of every node type of PostgreSQL's grammar. A type without an entry is an error of the compiler, and of a
 * test; a node of a newer parser that has none is refused. `docs/reference/sql.md` is made of this.
 */
export const distributionTable = Object.freeze({
  ...queryNodes,
  ...writeNodes,
  ...expressionNodes,
  ...jsonNodes,
  ...refusedNodes,
  ...otherNodes,
  ...internalNodes,
}) satisfies Readonly<Record<NodeTag, Distribution>>

const byName: ReadonlyMap<string, Distribution> = new Map(Object.entries(distributionTable))

export const distributionOf = (tag: string): Distribution | undefined => byName.get(tag)
