import type { Shard } from '../topology/shard'

/** A statement of one shard that still has the placeholder schema. */
export interface ArmText {
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** One shard's part of an operation: what a front end (find options, a query builder, SQL) made for it. */
export interface Arm extends ArmText {
  readonly shard: Shard
}

/** The arms of a read, in the order of the shards. */
export interface ArmSource {
  readonly arms: readonly Arm[]
  /** All arms have equal parameters of equal types, so that one parameter list serves all of them. */
  readonly sharedParameters: boolean
}

/** The source with another text for each arm: `SELECT … FROM (arm)`, `arm LIMIT 20`. */
export const mapArms = (source: ArmSource, change: (arm: Arm) => Partial<ArmText>): ArmSource => {
  // Arms with one text share the changed text too, which `buildNodeStatements` then recognises by comparing it once.
  const arms = source.arms.map((arm) => Object.freeze({ ...arm, ...change(arm) }))
  return Object.freeze({ arms: Object.freeze(arms), sharedParameters: source.sharedParameters })
}

/** The arms of some shards, by their indexes and in that order. */
export const armsOf = ({ arms }: ArmSource, indexes: Iterable<number>): readonly Arm[] => {
  const byIndex = new Map(arms.map((arm) => [arm.shard.index, arm]))
  return Array.from(indexes, (index) => {
    const arm = byIndex.get(index)
    if (!arm) throw new RangeError(`There is no arm of shard number ${index}.`)
    return arm
  })
}
