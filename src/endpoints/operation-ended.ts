/**
 * Ends what still runs or waits when an operation is over before its time: an abort, a deadline, a spent row budget, a
 * failed peer. Callers never see it: they are thrown the `reason`, which for an abort may be any value.
 */
export class OperationEnded extends Error {
  constructor(readonly reason: unknown) {
    super('The operation was ended before its time.')
    this.name = 'OperationEnded'
  }
}
