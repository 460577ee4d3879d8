/** Why a statement cannot be run shard by shard. */
export interface Problem {
  readonly code: 'JOIN_NOT_LOCAL' | 'STATEMENT_UNSUPPORTED'
  readonly text: string
}
