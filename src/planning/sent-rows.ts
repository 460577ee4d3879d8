/** Rows that a query would send to its shards, as the servers expect them. */
export interface SentRows {
  readonly rows: number
  /** How many nodes are sent all of them. */
  readonly nodes: number
  /** Those of them that a subquery goes through for each row of the query around it: no index finds them. */
  readonly askedByRow: number
  /** The query itself reads rows of shards; where it does not, it is sent to the home node. */
  readonly isOnShards: boolean
}

/** What can be gathered of the same query. */
export interface GatheredRows {
  readonly rows: number
  /** Those of its largest table. */
  readonly most: number
}

/** A row is copied in the time in which this many are looked at. */
const looksPerCopy = 50

/** So many rows are sent as fast as anything else is done, and gone through for each row as fast as an index finds them. */
export const fewSent = { rows: 1_000, askedByRow: 20 }

/** True where nothing is won by a gather. */
export const sendsFew = ({ rows, nodes, askedByRow }: SentRows): boolean =>
  rows * nodes <= fewSent.rows && askedByRow <= fewSent.askedByRow

/** True where a query is answered sooner from copies of its tables' rows, which have indexes, than where rows are sent to. */
export function gathersFewer(gathered: GatheredRows, sent: SentRows): boolean {
  // On the home node the rows are copied either way.
  if (!sent.isOnShards) return gathered.rows <= sent.rows * 2
  const looks = (sent.askedByRow * gathered.most) / looksPerCopy
  return gathered.rows * 2 < sent.rows * sent.nodes + looks
}
