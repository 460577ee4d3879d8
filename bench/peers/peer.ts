import type { Item, Line } from '../support/item'

/** What a read of a peer gives: enough to see that all peers answer the same. */
export interface Row {
  readonly id: string
}

/** The work that all peers do, each in its own way, over the same rows. */
export interface Works {
  byKey(id: string): Promise<readonly Row[]>
  /** The newest items. */
  top(count: number): Promise<readonly Row[]>
  /** The items that come after this time, newest first. */
  after(time: Date, count: number): Promise<readonly Row[]>
  /** The newest items but the first `offset`. */
  page(offset: number, count: number): Promise<readonly Row[]>
  /** The newest items as raw rows. */
  raw(count: number): Promise<readonly Row[]>
  count(): Promise<number>
  sum(): Promise<number>
  updateByKey(id: string, amount: number): Promise<number>
  /** How many rows were updated. */
  updateBetween(from: Date, to: Date, amount: number): Promise<number>
  saveLines(lines: readonly Line[]): Promise<void>
  /** Takes one from an item and gives it to one of another node. */
  transfer(from: Item['id'], to: Item['id']): Promise<void>
}

/** One way to keep and to ask the rows. */
export interface Peer {
  readonly name: string
  readonly works: Works
  close(): Promise<void>
}
