import { failedTransaction, sqlState } from '../../endpoints/sql-state'

/**
 * The failure of a write on several nodes, by the outcome of each node, in their order. A write may read on nodes where
 * another has failed, which answer no more than that their transaction has.
 */
export function causeOf(settled: readonly PromiseSettledResult<unknown>[]): PromiseRejectedResult | undefined {
  const failed = settled.filter((one) => one.status === 'rejected')
  return failed.find(({ reason }) => sqlState(reason) !== failedTransaction) ?? failed[0]
}
