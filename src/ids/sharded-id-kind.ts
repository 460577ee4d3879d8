/**
 * What an id is made of.
 *
 * - `'64-bit'`: time, worker number and slot, for a `bigint` column
 * - `'53-bit'`: the same in what a JavaScript number holds exactly, for a `bigint` or `double precision` column
 * - `'uuid'`: a UUID of version 7 with the slot in its last bits
 * - `'sequence'`: 1, 2, 3, …, taken from the home node in blocks; it carries no slot
 */
export type ShardedIdKind = '64-bit' | '53-bit' | 'uuid' | 'sequence'

export const shardedIdKinds: readonly ShardedIdKind[] = Object.freeze(['64-bit', '53-bit', 'uuid', 'sequence'])
