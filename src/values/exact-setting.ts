/**
 * Settings of a session without which values are not read as they were written, and what they may be. Answers of several
 * nodes are put together from texts: a float of 15 digits is another number, a date that is not ISO is none.
 */
const rules: Readonly<Record<string, RegExp>> = {
  // 1 and more are the same since PostgreSQL 12: the shortest text that is read as the same number.
  extra_float_digits: /^[1-3]$/,
  // An order of day and month by itself leaves the style as it is.
  datestyle: /^\s*(?:iso\b.*|(?:mdy|dmy|ymd|us|euro(?:pean)?|noneuro(?:pean)?)\s*)$/i,
  client_encoding: /^(?:utf-?8|unicode)$/i,
  standard_conforming_strings: /^(?:on|true|yes|1)$/i,
  array_nulls: /^(?:on|true|yes|1)$/i,
  // They are of the next transaction, which other nodes begin in sessions of their own.
  default_transaction_isolation: /^$/,
  default_transaction_read_only: /^$/,
  default_transaction_deferrable: /^$/,
}

/** False for a setting with which shards cannot be read exactly. A value that is not known is not proven to be exact. */
export function isExactSetting(name: string, value: string | undefined): boolean {
  const rule = rules[name.toLowerCase()]
  return rule === undefined || (value !== undefined && rule.test(value))
}

/**
 * False for what a session that is at work is told, and with which shards cannot be read exactly. The search path as well:
 * names were read by the one that all sessions began with, and mean other tables in another.
 */
export const isExactChange = (name: string, value: string | undefined): boolean =>
  name.toLowerCase() !== 'search_path' && isExactSetting(name, value)

/** Settings of time, cost and reports: no answer depends on them. */
const neutral =
  /^(?:\w+_timeout|application_name|client_min_messages|\w*work_mem|hash_mem_multiplier|temp_buffers|synchronous_commit|commit_\w+|enable_\w+|jit\w*|geqo\w*|\w+_cost|\w+_cost_limit|effective_\w+|\w*parallel_\w+|\w+_collapse_limit|plan_cache_mode|log_\w+|track_\w+|tcp_\w+|debug_\w+|trace_\w+|auto_explain\.\w+|default_statistics_target|cursor_tuple_fraction|constraint_exclusion)$/i

/** True for a setting of which no answer depends. */
export const isNeutralSetting = (name: string): boolean => neutral.test(name)
