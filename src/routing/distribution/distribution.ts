import type { Node } from '@pgsql/types'
import { words } from '../../collections/words'
import type { NodeTag } from '../../sql/tree'

/** What a field holds: a scalar; nodes that say their type themselves; or a part whose type the field tells. */
export type FieldKind = 'value' | 'nodes' | NodeTag

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

/** An entry as it is written. */
interface Written<Fields extends string = string> extends Omit<Distribution, 'fields' | 'tests'> {
  /** Names of tests in `test/parity/`. */
  readonly tests: string
  /** `name` holds a scalar, `name*` nodes that say their type themselves, `name:Type` a part of that type. */
  readonly fields: Fields
}

/** It runs on each shard. */
export const distributes = <const Fields extends string>(entry: Omit<Written<Fields>, 'rule'>): Written<Fields> => ({
  ...entry,
  rule: 'distributes',
})

/** It runs on each shard where its condition holds. */
export const conditional = <const Fields extends string>(entry: Omit<Written<Fields>, 'rule'>): Written<Fields> => ({
  ...entry,
  rule: 'conditional',
})

type Words<Text extends string> = Text extends `${infer First}\n${infer Rest}`
  ? Words<First> | Words<Rest>
  : Text extends ` ${infer Rest}`
    ? Words<Rest>
    : Text extends `${infer First} ${infer Rest}`
      ? First | Words<Rest>
      : Text extends ''
        ? never
        : Text

type NameOf<Word> = Word extends `${infer Name}*` ? Name : Word extends `${infer Name}:${NodeTag}` ? Name : Word

type FieldOf<Tag> = Tag extends NodeTag ? keyof Extract<Node, Record<Tag, unknown>>[Tag] : never

/** An entry names each field of its node type, and no other: one that a new version of the grammar adds is an error of the compiler. */
type Whole<Tag, Fields extends string> = [NameOf<Words<Fields>>, FieldOf<Tag>] extends [
  FieldOf<Tag>,
  NameOf<Words<Fields>>,
]
  ? Fields
  : { readonly missing: Exclude<FieldOf<Tag>, NameOf<Words<Fields>>> }

/** Entries by the type of their node. */
export const nodes = <const Entries extends Readonly<Record<string, Written>>>(
  entries: Entries & { readonly [Tag in keyof Entries]: { readonly fields: Whole<Tag, Entries[Tag]['fields']> } },
): Readonly<Record<keyof Entries, Distribution>> =>
  byTag(Object.entries<Written>(entries).map(([tag, entry]) => [tag, entryOf(entry)]))

/** One entry for all node types of a list. */
export const alike = <const Tags extends string>(tags: Tags, entry: Distribution): Record<Words<Tags>, Distribution> =>
  byTag(words(tags).map((tag) => [tag, entry]))

export const refusedNode = (sql: string, says: string, tests: readonly string[]): Distribution =>
  Object.freeze({ sql, rule: 'refused', says, tests, fields: Object.freeze({}) })

function entryOf({ fields, tests, ...entry }: Written): Distribution {
  const kinds = words(fields).filter(Boolean).map(kindOf)
  return Object.freeze({
    ...entry,
    tests: words(tests).map((name) => `test/parity/${name}.test.ts`),
    fields: Object.freeze(Object.fromEntries(kinds)),
  })
}

function kindOf(word: string): readonly [name: string, kind: FieldKind] {
  const [name = '', type] = word.split(':')
  // What stands behind the colon is looked at where entries are written: see `NameOf`.
  if (type !== undefined) return [name, type as NodeTag]
  return name.endsWith('*') ? [name.slice(0, -1), 'nodes'] : [name, 'value']
}

/** The names are those of the list that they are made of. */
const byTag = <Tag extends PropertyKey>(entries: readonly (readonly [string, Distribution])[]) =>
  // A record of entries has the names of its entries, which its type cannot say.
  Object.fromEntries(entries) as Record<Tag, Distribution>
