/**
 * How a write over several nodes is committed. `two-phase`: all or nothing, by PREPARE TRANSACTION. `best-effort`: one
 * node after the other, and PARTIAL_COMMIT where a later one fails. `single-shard`: a transaction has one shard, and the
 * second is refused.
 */
export type TransactionMode = 'two-phase' | 'best-effort' | 'single-shard'
