import type { JsonArrayQueryConstructor, Node, RangeVar, SubLink, TypeName } from '@pgsql/types'
import { wordSet } from '../collections/words'

/** The name of a node type of PostgreSQL's grammar. */
export type NodeTag = Node extends infer One ? (One extends One ? keyof One & string : never) : never

type AllOf<T> = (T extends unknown ? (one: T) => void : never) extends (one: infer All) => void ? All : never

/**
 * Any object of a tree that PostgreSQL's parser made: the wrapper of a node, `{ ColumnRef: … }`, or the fields of a node. Names of
 * node types begin with a capital, and names of fields do not.
 */
export type TreeObject = Partial<AllOf<Node>> & { [field: string]: unknown }

/** Where a node stands in the text. It says nothing of what the node means. */
const positions = wordSet(`
  location name_location list_start list_end rexpr_list_start rexpr_list_end stmt_location stmt_len`)

/** Whether `f(x)` was written or the grammar's own form of a call. `ROW(a, b)` and `(a, b)` are no such pair: in GROUP BY they differ. */
const spellings = new Set(['funcformat'])

export const isTreeObject = (value: unknown): value is TreeObject => typeof value === 'object' && value !== null

/** True for the wrapper of a node of this type. */
export const isNode = <Tag extends NodeTag>(
  object: TreeObject,
  tag: Tag,
): object is TreeObject & Extract<Node, Record<Tag, unknown>> => object[tag] !== undefined

/** The fields of a node of one type; undefined for a node of another, and for none. */
export const fieldsOf = <Tag extends NodeTag>(node: TreeObject | undefined, tag: Tag): TreeObject[Tag] | undefined =>
  node?.[tag]

/** The fields of those nodes of a list that are of one type. */
export const allOf = <Tag extends NodeTag>(nodes: readonly Node[] | undefined, tag: Tag) =>
  (nodes ?? []).flatMap((node) => fieldsOf(node, tag) ?? [])

/** True for the wrapper of a node of any type. */
export const isWrapper = (object: TreeObject): object is TreeObject & Node => {
  const [tag = '', another] = Object.keys(object)
  return another === undefined && /^[A-Z]/.test(tag)
}

// Some nodes stand in a tree without a wrapper. A field that no other node has tells them.

/** True for the fields of a table's name. */
export const isRangeVar = (object: TreeObject): object is TreeObject & RangeVar => typeof object['relname'] === 'string'

/** True for the fields of a type's name. */
export const isTypeName = (object: TreeObject): object is TreeObject & TypeName => Array.isArray(object['names'])

/** Visits every object of a tree, parents first. A visitor that gives `false` keeps out what is below. */
export function visit(tree: unknown, visitor: (object: TreeObject) => unknown): void {
  if (Array.isArray(tree)) {
    for (const item of tree) visit(item, visitor)
    return
  }
  if (!isTreeObject(tree) || visitor(tree) === false) return
  for (const field in tree) visit(tree[field], visitor)
}

/**
 * True where some object of a tree passes a test.
 *
 * @param walk which objects are looked at: all, or with `visitOwn` those of the query itself
 */
export function someNode(tree: unknown, test: (object: TreeObject) => boolean, walk: typeof visit = visit): boolean {
  let found = false
  walk(tree, (object) => {
    found ||= test(object)
    return !found
  })
  return found
}

/**
 * A copy of a tree in which some nodes are replaced: what `replace` gives stands for the node, and is not looked into;
 * where it gives undefined the node is kept and its parts are asked for.
 */
export const replaceNodes = <T>(tree: T, replace: (object: TreeObject) => unknown): T =>
  // A node stands for a node, so that the copy is a tree as the given one is.
  copyOf(tree, replace) as T

function copyOf(tree: unknown, replace: (object: TreeObject) => unknown): unknown {
  if (Array.isArray(tree)) return tree.map((item) => copyOf(item, replace))
  if (!isTreeObject(tree)) return tree
  const replaced = replace(tree)
  if (replaced !== undefined) return replaced
  const copy: { [field: string]: unknown } = {}
  for (const field in tree) copy[field] = copyOf(tree[field], replace)
  return copy
}

/** A text that two trees share exactly when they say the same, wherever they stand. */
export function treeText(tree: unknown): string {
  return JSON.stringify(tree, (_, value: unknown) => {
    if (!isTreeObject(value) || Array.isArray(value)) return value
    const fields = Object.keys(value).filter((field) => !positions.has(field) && !spellings.has(field))
    return Object.fromEntries(fields.sort().map((field) => [field, value[field]]))
  })
}

/** The parts of a condition that all must hold. */
export function conjunctsOf(condition: Node | undefined): readonly Node[] {
  if (!condition) return []
  if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'AND_EXPR')
    return (condition.BoolExpr.args ?? []).flatMap((part) => conjunctsOf(part))
  return [condition]
}

/** The names in a list of string nodes: of a column, a function, an operator; undefined where one is a star or the like. */
export function namesOf(nodes: readonly Node[] | undefined): readonly string[] | undefined {
  const names: string[] = []
  for (const node of nodes ?? []) {
    if (!('String' in node)) return undefined
    names.push(node.String.sval ?? '')
  }
  return names
}

/** The numbers of the parameters that a tree uses, ascending. */
export function parametersOf(tree: unknown): readonly number[] {
  const numbers = new Set<number>()
  visit(tree, ({ ParamRef: found }) => {
    if (found) numbers.add(found.number ?? 0)
  })
  return [...numbers].sort((a, b) => a - b)
}

const counted = new WeakMap<object, ReadonlyMap<number, number>>()

/** How often a tree has each parameter, by their numbers. */
function parameterCounts(tree: TreeObject): ReadonlyMap<number, number> {
  const known = counted.get(tree)
  if (known) return known
  const counts = new Map<number, number>()
  visit(tree, ({ ParamRef: found }) => {
    if (found) counts.set(found.number ?? 0, (counts.get(found.number ?? 0) ?? 0) + 1)
  })
  counted.set(tree, counts)
  return counts
}

/**
 * True where no parameter of a part stands elsewhere in its statement as well, where it may have its type from: by itself the part
 * would give it another.
 */
export function hasOwnParameters(part: TreeObject, statement: TreeObject): boolean {
  const own = parameterCounts(part)
  if (own.size === 0) return true
  const all = parameterCounts(statement)
  return [...own].every(([number, count]) => all.get(number) === count)
}

/** True for a node that holds a query of its own: what is below is the query's. */
export const isSubquery = (
  object: TreeObject,
): object is TreeObject & ({ SubLink: SubLink } | { JsonArrayQueryConstructor: JsonArrayQueryConstructor }) =>
  'SubLink' in object || 'JsonArrayQueryConstructor' in object

/** Visits what is of a query itself: of a subquery only what it is compared with, as `max(x)` in `max(x) IN (SELECT …)`. */
export function visitOwn(tree: unknown, visitor: (object: TreeObject) => unknown): void {
  visit(tree, (object) => {
    if (visitor(object) === false) return false
    visitOwn(object.SubLink?.testexpr, visitor)
    return !isSubquery(object)
  })
}

/** The text that an expression is: written, the value of a parameter, or a cast of one. */
export function writtenText(object: TreeObject, parameters: readonly unknown[]): string | undefined {
  const { A_Const: constant, TypeCast: cast, ParamRef: parameter } = object
  if (cast) return cast.arg && writtenText(cast.arg, parameters)
  if (parameter) {
    const value = parameters[(parameter.number ?? 0) - 1]
    return typeof value === 'string' ? value : undefined
  }
  return constant?.sval && (constant.sval.sval ?? '')
}
