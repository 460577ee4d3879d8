import { wordSet } from '../../collections/words'

/**
 * Functions of PostgreSQL that are volatile and yet may run on every shard: each row asks them once, wherever it is, and
 * nothing else can be told from how often they were asked.
 */
export const freeVolatileFunctions = wordSet(`
  random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday array_shuffle array_sample pg_sleep
  pg_sleep_for pg_sleep_until`)

/** Functions that give the time of the transaction. */
export const transactionClock = wordSet('now transaction_timestamp')

/** Functions of PostgreSQL that say something of the session, the server or the moment: one answer for all shards. */
export const sessionFunctions = wordSet(`
  now transaction_timestamp statement_timestamp current_database current_schema current_schemas current_setting
  current_user session_user system_user getpgusername getdatabaseencoding inet_client_addr inet_client_port
  inet_server_addr inet_server_port pg_backend_pid pg_client_encoding pg_conf_load_time pg_current_snapshot
  pg_current_xact_id pg_current_xact_id_if_assigned pg_postmaster_start_time pg_trigger_depth txid_current
  txid_current_if_assigned txid_current_snapshot version`)

/** Stable functions of PostgreSQL that hang on nothing but their arguments and on settings which all sessions have alike. */
export const settledFunctions = wordSet(`
  age anytextcat array_to_json array_to_string concat concat_ws convert convert_from convert_to date date_add
  date_part date_subtract date_trunc enum_first enum_last enum_range extract format generate_series
  get_current_ts_config in_range interval_pl_timestamptz json_build_array json_build_object json_populate_record
  json_populate_recordset json_to_record json_to_recordset json_to_tsvector jsonb_build_array jsonb_build_object
  jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz
  jsonb_populate_record jsonb_populate_record_valid jsonb_populate_recordset jsonb_to_record jsonb_to_recordset
  jsonb_to_tsvector length make_timestamptz money numeric overlaps pg_collation_for pg_column_size
  pg_input_error_info pg_input_is_valid pg_timezone_abbrevs_zone pg_timezone_names phraseto_tsquery plainto_tsquery
  quote_literal quote_nullable row_to_json textanycat time timestamp timestamptz timestamptz_mi_interval
  timestamptz_pl_interval timetz timezone to_char to_date to_json to_jsonb to_number to_timestamp to_tsquery
  to_tsvector ts_debug ts_headline ts_match_tq ts_match_tt ts_parse ts_token_type websearch_to_tsquery xml
  xml_is_well_formed`)
