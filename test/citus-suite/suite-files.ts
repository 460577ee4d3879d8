/** The scripts whose tables others read, in the order of the suite's schedule. */
export const baseScripts = [
  'multi_create_table',
  'multi_create_table_superuser',
  'multi_load_data',
  'multi_load_data_superuser',
  'multi_behavioral_analytics_create_table',
  'multi_behavioral_analytics_create_table_superuser',
]

const before: Readonly<Record<string, readonly string[]>> = {
  arbitrary_configs_recurring_outer_join: ['local_dist_join_load'],
  intermediate_result_pruning_queries_1: ['intermediate_result_pruning_create'],
  intermediate_result_pruning_queries_2: ['intermediate_result_pruning_create'],
  nested_execution: ['nested_execution_create'],
  local_dist_join: ['local_dist_join_load'],
  local_dist_join_mixed: ['local_dist_join_load'],
  distributed_planning: ['distributed_planning_create_load'],
  dropped_columns_1: ['dropped_columns_create_load'],
  arbitrary_configs_router: ['arbitrary_configs_router_create'],
  ch_benchmarks_1: ['ch_benchmarks_create_load'],
  ch_benchmarks_2: ['ch_benchmarks_create_load'],
  ch_benchmarks_3: ['ch_benchmarks_create_load'],
  ch_benchmarks_4: ['ch_benchmarks_create_load'],
  ch_benchmarks_5: ['ch_benchmarks_create_load'],
  ch_benchmarks_6: ['ch_benchmarks_create_load'],
}

/** The scripts that must have run before one of them. */
export const scriptsBefore = (file: string): readonly string[] => before[file] ?? []

/** Scripts about SELECT, set operations, subqueries, WITH, windows and INSERT … SELECT. */
const chosen =
  /^(?:multi_subquery|multi_insert_select|subquer|set_operation|union|cte|with_(?!prepare|executors|transactions|partitioning)|window|multi_select|multi_outer_join|multi_view|multi_limit|multi_orderby|multi_agg|multi_array|multi_json|multi_having|having|multi_basic|multi_simple|multi_complex|multi_average|multi_count|multi_alias|multi_cross_shard|multi_behavioral_analytics_(?:basics|single)|multi_router_planner|multi_single_relation|multi_tpch|multi_level|multi_working|multi_deparse_shard|multi_hash_pruning|multi_join|multi_repartition|multi_reference|insert_select|values|cross_join|join_pushdown|non_colocated|recur|local_(?:dist|table)_join|citus_local_(?:dist_joins|tables_queries$)|ch_bench(?!marks_create)|chbench|intermediate_result_pruning(?!_create)|nested_execution$|distributed_planning$|dropped_columns_1|arbitrary_configs_(?:router$|recurring)|expression_reference|anonymous|aggregate_support|bool_agg|custom_aggregate|sqlancer|sqlsmith|unsupported_lateral|single_hash|pg1[2-8]|issue_|row_types|cursors|dml_recursive|hyperscale|partition_wise|query_single|geqo|set_operation|adaptive_executor|multi_data_types|data_types|multi_row|coordinator_evaluation_select|multi_mx_router|multi_null_minmax|multi_partition_pruning|text_search|subscripting|multi_upsert|null_parameters|function_with_case|foreign_key_to_reference_table|multi_function_in_join|multi_dropped|multi_name_resolution|views$|fast_path)/

/** Whether a script is one of those that are compared. */
export const isChosen = (file: string): boolean =>
  chosen.test(file) && !/explain|_repartition_udf|tdigest|approximate/.test(file)
