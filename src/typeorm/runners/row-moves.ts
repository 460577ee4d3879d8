/** How rows are moved that a caller asked to be moved. */
export interface RowMoves {
  /** Their colocated children go with them, and theirs. */
  readonly children: boolean
}
