/** The place of a list of keys among the parameters of an arm. */
export class KeyList {
  /** @param column which column of the primary key, counted from 0 */
  constructor(readonly column: number) {
    Object.freeze(this)
  }
}
