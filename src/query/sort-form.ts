import { ShardedError } from '../errors/sharded-error'
import type { SortKind } from '../merging/sort-term'
import { collationConflict, describeConflict } from './collation-conflict'
import { collationKey, collationOf, defaultCollation, type NodeSortFacts, sortsByCodePoint } from './node-sort-facts'

/** The SQL type of an ordered expression, as the catalog has it. */
export interface ValueType {
  /** `format_type(oid, -1)`: `integer`, `character varying`, `user_03.mood`, `text[]`, `citext`. */
  readonly name: string
  /** `pg_type.typtype`; of an array that of its elements where they are of an enum, else base. */
  readonly kind: 'base' | 'enum' | 'domain' | 'range' | 'composite' | 'multirange'
  /** As `pg_collation_for` gives it: `"default"`, `"C"`, `"sv-x-icu"`; undefined where the type has none. */
  readonly collation: string | undefined
  /** The type under a domain; without it the database ranks the domain's values. */
  readonly base?: ValueType
}

/** How the values of an ordered expression are brought into a form that this process orders as PostgreSQL does. */
export interface SortForm {
  readonly kind: SortKind
  /**
   * SQL that gives the form compared here, NULL for NULL alone; absent: the expression as the driver gives it. It may
   * name the expression several times: one that is volatile (`random()`) has no such form.
   */
  readonly comparable?: (expression: string) => string
  /** SQL over `v`, the text of a value, by which the database orders distinct values; also the way out of a failed merge. */
  readonly rankBy: string
  /** SQL by which a node merges its arms, where the expression has a type of each shard's own; absent: the expression. */
  readonly nodeOrder?: (expression: string) => string
  readonly witness?: SortWitness
  /**
   * How what the driver gives of the expression itself compares, where that keeps the order and may only hold different
   * values equal (a `Date` has no microseconds): it serves where no two rows are equal.
   */
  readonly driverKind?: Exclude<SortKind, 'ranked'>
}

/** What shows that rows of different shards were sorted by one order: it is the same for all of them. */
export interface SortWitness {
  readonly of: 'collation' | 'labels'
  /** SQL that gives it: the collation that the expression has in truth, or the labels of its enum. */
  readonly sql: (expression: string) => string
}

/** Whom an error is to name. */
export interface OrderSubject {
  /** Begins the message: `User.name`. */
  readonly name: string
  readonly details: Readonly<Record<string, unknown>>
}

/** Text of any value: lossless under the settings of a session, as PostgreSQL's own dump relies on. */
export const asText = (expression: string): string => `(${expression})::text`

interface DirectForm {
  readonly kind: Exclude<SortKind, 'ranked'>
  readonly comparable?: (expression: string) => string
  readonly driverKind?: Exclude<SortKind, 'ranked'>
}

const plain = (kind: DirectForm['kind']): DirectForm => ({ kind, driverKind: kind })
const written = (kind: DirectForm['kind']): DirectForm => ({ kind, comparable: asText })
/** What `pg` gives of them is their text, unless the program has given `pg` other parsers. */
const digits = (kind: 'integer' | 'numeric'): DirectForm => ({ ...written(kind), driverKind: kind })

/** Microseconds matter, and `pg` would cut them; infinity stays. */
const epoch: DirectForm = { kind: 'numeric', comparable: (x) => `extract(epoch from ${x})::text` }

/** `timetz_cmp`: the instant first, then the zone, the eastern first. */
const zonedTime: DirectForm = {
  kind: 'numeric',
  comparable: (x) => `(extract(epoch from ${x}) * 1000000000000 - extract(timezone from ${x}))::text`,
}

/** `interval_cmp_value`: a month has 30 days, a day 24 hours. `extract(epoch …)` has years of 365.25 days. */
const interval: DirectForm = {
  kind: 'numeric',
  comparable: (x) =>
    `(CASE WHEN isfinite(${x}) THEN (extract(year from ${x}) * 12 + extract(month from ${x})) * 2592000 + ` +
    `extract(day from ${x}) * 86400 + extract(hour from ${x}) * 3600 + extract(minute from ${x}) * 60 + ` +
    `extract(second from ${x}) ELSE extract(epoch from ${x}) END)::text`,
}

/** `network_cmp`: the family, the bits of the shorter network, its length, the whole address. */
const network: DirectForm = {
  kind: 'bytes',
  comparable: (x) =>
    `substr(inet_send(network(${x})), 1, 1) || substr(inet_send(network(${x})), 5) || ` +
    `substr(inet_send((${x})::inet), 2, 1) || substr(inet_send((${x})::inet), 5)`,
}

const objectIdentifier: DirectForm = { kind: 'integer', comparable: (x) => `(${x})::oid::text` }

/** Types without a collation whose order is known here. */
const directForms: ReadonlyMap<string, DirectForm> = new Map([
  ['smallint', plain('integer')],
  ['integer', plain('integer')],
  // As text, whatever parser of bigint or numeric the program has given to `pg`.
  ['bigint', digits('integer')],
  ['oid', written('integer')],
  ['xid8', written('integer')],
  ['numeric', digits('numeric')],
  ['money', { kind: 'numeric', comparable: (x: string) => `(${x})::numeric::text` }],
  ['real', plain('float')],
  ['double precision', plain('float')],
  ['boolean', plain('boolean')],
  ['uuid', plain('codepoints')],
  ['bytea', plain('bytes')],
  ['bit', written('codepoints')],
  ['"bit"', written('codepoints')],
  ['bit varying', written('codepoints')],
  ['macaddr', written('codepoints')],
  ['macaddr8', written('codepoints')],
  ['inet', network],
  ['cidr', network],
  ['"char"', { kind: 'bytes', comparable: (x: string) => `charsend(${x})` }],
  ['pg_lsn', { kind: 'numeric', comparable: (x: string) => `((${x}) - '0/0'::pg_lsn)::text` }],
  ['date', epoch],
  ['timestamp without time zone', epoch],
  // Without a zone a Date is read by the clock of this process, which goes back once a year.
  ['timestamp with time zone', { ...epoch, driverKind: 'instant' }],
  ['time without time zone', epoch],
  ['time with time zone', zonedTime],
  ['interval', interval],
  ...['class', 'proc', 'procedure', 'oper', 'operator', 'type', 'role', 'namespace', 'config', 'dictionary'].map(
    (suffix) => [`reg${suffix}`, objectIdentifier] as const,
  ),
  ['regcollation', objectIdentifier],
])

const textTypes = new Set(['text', 'character varying', 'name'])
const charTypes = new Set(['character', 'bpchar'])
const citext = /^(\w+\.)?citext$/

/** Types whose order no collation has a part in, besides the direct ones. */
const withoutCollation = new Set([
  ...['tsvector', 'tsquery', 'hstore', 'ltree', 'cube', 'tid'],
  ...['int4', 'int8', 'num', 'ts', 'tstz', 'date'].flatMap((of) => [`${of}range`, `${of}multirange`]),
])

/** True for types that sort by the default collation whatever their own is: jsonb, rows, and those unknown here. */
function mayFollowDefault({ name }: ValueType): boolean {
  const element = name.replace(/\[\]$/, '')
  return ![directForms, textTypes, charTypes, withoutCollation].some((known) => known.has(element))
}

/**
 * How values of a type are ordered over the nodes that are asked. The one place where this is decided.
 *
 * @param facts of the nodes asked, each with what it says of the type's collation; with none, nothing can differ
 * @param subject whom an error names
 * @throws ShardedError COLLATION_DIFFERS where the nodes sort the type differently; ORDER_UNSUPPORTED where its values
 * cannot be told to the database again
 * @example
 * sortForm({ name: 'text', kind: 'base', collation: '"sv-x-icu"' }, facts)
 * // { kind: 'ranked', rankBy: 'v COLLATE "sv-x-icu"', … }
 */
export function sortForm(type: ValueType, facts: readonly NodeSortFacts[], subject: OrderSubject = nobody): SortForm {
  if (type.kind === 'domain' && type.base)
    return sortForm({ ...type.base, collation: type.collation ?? type.base.collation }, facts, subject)
  if (type.kind === 'enum') return type.name.endsWith('[]') ? enumArrayForm() : enumForm(type)
  const direct = type.kind === 'base' ? directForms.get(type.name) : undefined
  if (direct) return Object.freeze({ ...direct, rankBy: `v::${castName(type.name)}` })
  if (textTypes.has(type.name) || charTypes.has(type.name) || citext.test(type.name))
    return textForm(type, facts, subject)
  return rankedForm(type, facts, subject)
}

const nobody: OrderSubject = Object.freeze({ name: 'A value', details: Object.freeze({}) })

/** citext compares by its own collation what it has folded by that of the database. */
const asFolded = (x: string): string => `lower((${x})::text COLLATE "default")`

const trueCollation: SortWitness = Object.freeze({ of: 'collation', sql: (x: string) => `pg_collation_for(${x})` })
const labels = (value: (x: string) => string): SortWitness =>
  Object.freeze({ of: 'labels', sql: (x: string) => `enum_range(${value(x)})::text` })

const position = (x: string): string => `array_position(enum_range(${x})::text[], (${x})::text)`

/** By position. The labels are the witness: positions of two declarations cannot be compared. */
function enumForm({ name }: ValueType): SortForm {
  return Object.freeze({
    kind: 'integer',
    comparable: position,
    rankBy: `v::${name}`,
    nodeOrder: position,
    witness: labels((x) => x),
  })
}

/** By the positions of the elements: any node can read these, while the enum is each shard's own. */
function enumArrayForm(): SortForm {
  const positions = (x: string) =>
    `(CASE WHEN (${x}) IS NOT NULL THEN ARRAY(SELECT array_position(enum_range((${x})[1])::text[], e::text) ` +
    `FROM unnest(${x}) WITH ORDINALITY AS u(e, n) ORDER BY n) END)`
  return Object.freeze({
    kind: 'ranked',
    comparable: (x: string) => `${positions(x)}::text`,
    rankBy: 'v::integer[]',
    nodeOrder: positions,
    witness: labels((x) => `(${x})[1]`),
  })
}

function textForm({ name, collation }: ValueType, facts: readonly NodeSortFacts[], subject: OrderSubject): SortForm {
  const own = collation ?? (name === 'name' ? '"C"' : defaultCollation)
  const foldsCase = citext.test(name)
  checkCollation(own, facts, subject)
  if (foldsCase) checkCollation(defaultCollation, facts, subject)
  return Object.freeze({
    kind: isByCodePoint(own, facts) ? 'codepoints' : 'ranked',
    // The type character compares without the blanks that fill it: as text it has none.
    ...(charTypes.has(name) && { comparable: asText }),
    ...(foldsCase && { comparable: asFolded }),
    rankBy: collate('v', own),
    witness: trueCollation,
  })
}

/** What this process does not order: text of the values goes to the database, which reads it back as the type. */
function rankedForm(type: ValueType, facts: readonly NodeSortFacts[], subject: OrderSubject): SortForm {
  const { name, collation } = type
  const value = `v::${castName(name)}`
  if (name === 'record' || name === 'record[]') throw unsupported('rows without a named type', subject)
  if (collation !== undefined) checkCollation(collation, facts, subject)
  // JSON strings and fields of rows sort by the default collation.
  if (mayFollowDefault(type)) checkCollation(defaultCollation, facts, subject)
  const [first] = facts
  const other = facts.find(({ textForm }) => textForm !== first?.textForm)
  if (first && other)
    throw unsupported(
      `values of type ${name}, which ${first.node} (${first.textForm}) and ${other.node} (${other.textForm}) write differently`,
      subject,
    )
  return Object.freeze({
    kind: 'ranked',
    comparable: asText,
    rankBy: collation === undefined ? value : collate(value, collation),
    ...(collation !== undefined && { witness: trueCollation }),
  })
}

/** `v::character` and `v::bit` are of length 1, and cut. */
const castName = (name: string): string => name.replace(/^character(?=$|\[)/, 'bpchar').replace(/^bit(?=$|\[)/, '"bit"')

const collate = (value: string, collation: string): string =>
  value === 'v' && collationKey(collation) === defaultCollation ? value : `${value} COLLATE ${collationKey(collation)}`

function isByCodePoint(name: string, facts: readonly NodeSortFacts[]): boolean {
  if (facts.length === 0) return false
  return facts.every((node) => {
    const collation = collationOf(node, name)
    return collation !== undefined && sortsByCodePoint(node, collation)
  })
}

function checkCollation(name: string, facts: readonly NodeSortFacts[], subject: OrderSubject): void {
  const conflict = collationConflict(name, facts)
  if (!conflict) return
  throw new ShardedError(
    'COLLATION_DIFFERS',
    `${subject.name} sorts by the collation ${collationKey(name)}, which is not the same on the nodes asked: ${describeConflict(conflict)}.`,
    { details: { ...subject.details, collation: collationKey(name), nodes: conflict } },
  )
}

const unsupported = (what: string, { name, details }: OrderSubject): ShardedError =>
  new ShardedError('ORDER_UNSUPPORTED', `${name} orders by ${what}.`, { details })
