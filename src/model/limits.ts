import { ShardedError } from '../errors/sharded-error'

/** Rows of one answer over several shards, where nobody says otherwise: what fits into the memory of a server process. */
export const defaultRowBudget = 1_000_000

/** What a gather may copy of all its tables together. */
export interface GatherBudget {
  readonly rows: number
  /** Letters of the rows' texts. */
  readonly bytes: number
}

/** Rows are held here, and sent once more: a quarter of a gigabyte of texts takes some three quarters of memory. */
export const defaultGatherBudget: GatherBudget = Object.freeze({ rows: 1_000_000, bytes: 256 * 1024 * 1024 })

/** Milliseconds of one operation over several shards, where nobody says otherwise. */
export const defaultDeadlineMs = 60_000

/** Longer timers fire at once. */
export const longestTimerMs = 2_147_483_647

/** Checks the limits of `scatter` and of `withLimits`; `where` names the place. @throws ShardedError OPTIONS_INVALID */
export function checkLimits(
  { rowBudget, deadlineMs }: { readonly rowBudget?: number | undefined; readonly deadlineMs?: number | undefined },
  where: string,
): void {
  checkBound(rowBudget, `${where}.rowBudget`, Number.MAX_SAFE_INTEGER)
  checkBound(deadlineMs, `${where}.deadlineMs`, longestTimerMs)
}

/** A bound is a whole number above 0, or `Infinity` for none. @throws ShardedError OPTIONS_INVALID */
export function checkBound(value: number | undefined, name: string, most: number): void {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return
  if (Number.isInteger(value) && value > 0 && value <= most) return
  throw new ShardedError('OPTIONS_INVALID', `${name} is ${String(value)}; it takes 1 to ${most}, or Infinity.`, {
    details: { option: name },
  })
}
