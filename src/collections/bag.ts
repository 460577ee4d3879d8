/** Something that is in one bag at most. */
export interface Bagged {
  /** The bag's own. */
  place: number
}

/** The place of what is in no bag. */
export const nowhere = -1

/**
 * Things that come and go by the ten thousand a second, of which a few are there at once, in no order. A Set hashes each of
 * them, and makes its table anew as it grows and shrinks.
 *
 * @example
 * const one = { place: nowhere, close }
 * bag.add(one)
 * bag.delete(one) // true, and false the second time
 */
export class Bag<T extends Bagged> {
  private readonly list: T[] = []

  get size(): number {
    return this.list.length
  }

  add(one: T): void {
    one.place = this.list.push(one) - 1
  }

  /** @returns false where it was not there */
  delete(one: T): boolean {
    const { place } = one
    if (place === nowhere) return false
    one.place = nowhere
    const last = this.list.pop()
    if (last && last !== one) {
      this.list[place] = last
      last.place = place
    }
    return true
  }

  /** What is there now: it may go while this is read. */
  all(): readonly T[] {
    return [...this.list]
  }
}
