import type { NodeTag } from '../../sql/tree'

/** What a field holds: a scalar; nodes that say their type themselves; or a part whose type the field tells. */
export type FieldKind = 'value' | 'nodes' | NodeTag

type Fields<T> = { readonly [Field in keyof Required<T>]: FieldKind }

/** What is proven of a node type: whether a statement that has it may be run shard by shard. */
export interface Distribution {
  /** The clause, as users know it. */
  readonly sql: string
  readonly rule: 'distributes' | 'conditional' | 'refused'
  /** The condition, or what happens; ends the message of a refusal. */
  readonly says: string
  /** Files of the tests that show it. */
  readonly tests: readonly string[]
  /** All fields of the node: a field that is not here was not looked at when this was written. None where it is refused. */
  readonly fields: Readonly<Record<string, FieldKind>>
}

/** An entry with all fields of its node type: one that a new version of the grammar adds is an error of the compiler. */
export const node = <T>(entry: Omit<Distribution, 'fields'> & { readonly fields: Fields<T> }): Distribution =>
  Object.freeze({ ...entry, fields: Object.freeze({ ...entry.fields }) })

export const refusedNode = (sql: string, says: string, tests: readonly string[]): Distribution =>
  Object.freeze({ sql, rule: 'refused', says, tests, fields: Object.freeze({}) })
