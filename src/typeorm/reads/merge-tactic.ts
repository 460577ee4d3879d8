import { LRUCache } from 'lru-cache'
import { CachesOf } from '../../collections/caches-of'
import type { EntityBinding } from '../binding/entity-binding'

/**
 * How ties of a page are settled, the quickest first.
 *
 * - `glance`: each node gives about its share of the page, with nothing that settles ties; a page without ties needs none
 * - `late`: each gives the rows that the page may need, ties in any order, and what settles them; the merge does
 * - `sorted`: each sorts its rows in whole, ties by the primary key
 *
 * With the first two, an index on the column gives the first rows of each arm one by one, while sorting by the primary key
 * too reads and sorts all that are tied. What cannot tell a page is followed by the next.
 */
export type MergeTactic = 'glance' | 'late' | 'sorted'

/** Pages that end further down are sorted by the databases in whole: more rows would be sorted here than it saves there. */
export const deepestUnsorted = 1_000

/** Orders of an entity that are remembered, at most. */
const maxRemembered = 1_000

/**
 * A glance that fails costs another round of statements, and one that serves saves about a fifth of one: it is given up
 * where it fails more often than one time in ten, after the third time at the earliest.
 */
const costOfFailure = 10
const mostCost = 30

interface Experience {
  /** The first tactic that is still tried. */
  tactic: MergeTactic
  cost: number
}

const experiences = new CachesOf<EntityBinding, Experience>(() => new LRUCache({ max: maxRemembered }))

/** The tactic for an order of an entity. @param order any text that names it */
export const tacticFor = (binding: EntityBinding, order: string): MergeTactic =>
  experiences.of(binding).get(order)?.tactic ?? 'glance'

/** A glance told a page of this order. */
export function glanceServed(binding: EntityBinding, order: string): void {
  const experience = experiences.of(binding).get(order)
  if (experience && experience.cost > 0) experience.cost -= 1
}

/** A tactic did not tell a page of this order. @returns the one to go on with */
export function tacticFailed(binding: EntityBinding, order: string, tactic: 'glance' | 'late'): MergeTactic {
  const experience = experienceOf(binding, order)
  if (tactic === 'late') {
    experience.tactic = 'sorted'
    return 'sorted'
  }
  experience.cost += costOfFailure
  if (experience.cost >= mostCost && experience.tactic === 'glance') experience.tactic = 'late'
  return experience.tactic === 'sorted' ? 'sorted' : 'late'
}

function experienceOf(binding: EntityBinding, order: string): Experience {
  const orders = experiences.of(binding)
  const known = orders.get(order)
  if (known) return known
  const made: Experience = { tactic: 'glance', cost: 0 }
  orders.set(order, made)
  return made
}

/** True where this tactic is tried no more for the order. */
export function isGivenUp(binding: EntityBinding, order: string, tactic: MergeTactic): boolean {
  return ranks[tactic] < ranks[tacticFor(binding, order)]
}

const ranks: Readonly<Record<MergeTactic, number>> = { glance: 0, late: 1, sorted: 2 }

/**
 * How many rows a node is asked for at a glance, of a page that ends after `end` rows spread over the shards by chance: twice
 * the deviation more than its share, and one more for each doubling of the nodes. By the binomial distribution one page of
 * 20 rows in a hundred has more on one of them, and one of 500 in fourteen at most.
 *
 * @param share of the shards asked, on the node that has most of them
 */
export function glanceRows(end: number, share: number): number {
  const mean = end * share
  const deviation = Math.sqrt(mean * (1 - share))
  return Math.min(end + 1, Math.ceil(mean + 2 * deviation) + Math.ceil(Math.log2(1 / share)))
}
