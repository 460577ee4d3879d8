import type { Shard } from '../topology/shard'
import { ColumnArray, type FinishPlan, type RoutePlan } from './read-plan'

/** Aggregates that PostgreSQL finishes; MIN and MAX take a comparison. */
export type FinishedFunction = 'SUM' | 'AVG'

export type AggregateFunction = FinishedFunction | 'MIN' | 'MAX'

/** In which type PostgreSQL finishes an aggregate of numbers. */
export type AggregateType = 'numeric' | 'real' | 'double precision'

/**
 * The plan of an aggregate over shards, from partial results that the arms give as texts: `value`, and for an average the
 * `count` of values. PostgreSQL adds and divides, so that scale, rounding, NaN and overflow are its own.
 */
export function finishAggregate(
  source: RoutePlan,
  { fn, type, shard }: { readonly fn: FinishedFunction; readonly type: AggregateType; readonly shard: Shard },
): FinishPlan {
  const isAverage = fn === 'AVG'
  const text = isAverage
    ? `SELECT (SUM(v) / NULLIF(SUM(n), 0))::text AS value FROM unnest($1::${type}[], $2::${type}[]) AS t(v, n)`
    : `SELECT SUM(v)::text AS value FROM unnest($1::${type}[]) AS t(v)`
  const parameters = [new ColumnArray('value'), ...(isAverage ? [new ColumnArray('count')] : [])]
  const statement = Object.freeze({
    node: shard.node,
    shards: Object.freeze([shard.name]),
    text,
    parameters: Object.freeze(parameters),
  })
  return Object.freeze({ kind: 'finish', source, statement, step: 'let one node finish the results of the shards' })
}
