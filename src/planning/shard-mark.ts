import type { Shard } from '../topology/shard'

/** Of the mark's own form: an object with another one is not ours to change. */
const version = 1

/**
 * The mark of what schema work made for a shard, in the comment of its schema, or of each of its tables in the layout `table`.
 * A comment lives and dies with its object: it follows a rename, pg_dump keeps it, and a table that a user makes in the place of
 * a dropped one has none. A catalog table of our own would go on naming both.
 */
export const shardMark = ({ name }: Pick<Shard, 'name'>, table?: string): string =>
  `[typeorm-sharded:${version} shard=${name}${table === undefined ? '' : ` table=${table}`}]`

/** Users may write before and behind it. */
export const isMarked = (comment: string | null | undefined, mark: string): boolean => comment?.includes(mark) ?? false

/** A user's comment with the mark. */
export const withMark = (comment: string | null | undefined, mark: string): string => {
  if (!comment) return mark
  return isMarked(comment, mark) ? comment : `${comment}\n${mark}`
}
