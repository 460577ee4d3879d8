const prefix = 'typeorm_sharded'
const version = '1'
const pattern = new RegExp(`^${prefix}:${version}:([0-9a-f]{16}):([0-9a-f]{32}):([0-9a-f]{16})$`)

/** The beginning of the identifiers of our prepared transactions; those of other systems are never touched. */
export const preparedIdPrefix = `${prefix}:${version}:`

/**
 * The identifier of a prepared transaction. It names the database that decides: whoever finds it knows whom to ask, and
 * that it must leave it alone where that database is none of its own.
 */
export interface PreparedId {
  /** Identity of the database with the decision row. */
  readonly decider: string
  /** The transaction over all nodes. */
  readonly transaction: string
  /** Identity of the database that is prepared: identifiers are unique in a server, which may hold several nodes. */
  readonly participant: string
}

/** As PostgreSQL takes it: below 200 bytes, and safe inside a literal. */
export const formatPreparedId = ({ decider, transaction, participant }: PreparedId): string =>
  `${preparedIdPrefix}${decider}:${transaction}:${participant}`

/** undefined for an identifier that is not of this form, and so not ours. */
export function parsePreparedId(text: string): PreparedId | undefined {
  const [, decider, transaction, participant] = pattern.exec(text) ?? []
  if (decider === undefined || transaction === undefined || participant === undefined) return undefined
  return Object.freeze({ decider, transaction, participant })
}
