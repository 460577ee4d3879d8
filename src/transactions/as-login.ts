import type { StatementResult } from '../endpoints/statement-result'

/**
 * Goes before what we do in a caller's transaction, in the same message. A caller may have taken another role in it (row
 * security does so), which may not write the decision, and would own what is prepared: nobody else could end that. Or it is
 * another user altogether. Deferred constraints are checked first, as the caller.
 */
export const asLogin = 'SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE;'

/** The result of the last of several statements in one message, of which pg makes a list. */
export const lastOf = (result: StatementResult): StatementResult =>
  Array.isArray(result) ? (result.at(-1) as StatementResult) : result
