/** An object of a shard in one database: what the structure query says of it. */
export interface StructureObject {
  readonly kind: StructureKind
  readonly name: string
  /** Makes it, or sets it as it is. */
  readonly make: string
  /** Takes it away again; of grants only, which a database may have given by itself (ALTER DEFAULT PRIVILEGES). */
  readonly unmake: string | null
}

/** All that a shard has in one database, but for its rows and the values of its sequences. */
export type ShardStructure = readonly StructureObject[]

/** What must be there before rows are copied: the tables, and what tells one row from another. In the order in which they are made. */
const beforeCopy = [
  'schema',
  'type',
  'domain check',
  'function',
  'sequence',
  'table',
  'table function',
  'sequence owner',
  'column',
  'primary key',
  'identity index',
  'replica identity',
] as const

/** What is made of rows that are there: an index that is built once costs less than one that each row is put into. */
const afterCopy = [
  'unique',
  'late replica identity',
  'check',
  'index',
  'index options',
  'cluster',
  'foreign key',
  'statistics',
  'statistics target',
  'trigger',
  'trigger off',
  'rule',
  'rule off',
  'policy',
  'row security',
  'comment',
  'owner',
  'grant',
] as const

/** Triggers that fire for replicated rows too: they would do again what they have done at the source. */
const afterSwitch = ['trigger state'] as const

export type StructureKind = (typeof beforeCopy | typeof afterCopy | typeof afterSwitch)[number]

/** When a part of the structure is made. */
export type StructurePhase = 'before-copy' | 'after-copy' | 'after-switch'

/** The kinds of each phase, in the order in which they are made. */
export const phases: Readonly<Record<StructurePhase, readonly StructureKind[]>> = Object.freeze({
  'before-copy': beforeCopy,
  'after-copy': afterCopy,
  'after-switch': afterSwitch,
})

const keyOf = ({ kind, name }: StructureObject): string => `${kind} ${name}`

/** The statements that make what the target lacks of a phase, in order. None where the target has all of it. */
export function missingStatements(
  source: ShardStructure,
  target: ShardStructure,
  phase: StructurePhase,
): readonly string[] {
  return missingOfKinds(source, target, phases[phase])
}

/** The same of some kinds, in their order. */
export function missingOfKinds(
  source: ShardStructure,
  target: ShardStructure,
  kinds: readonly StructureKind[],
): readonly string[] {
  const there = new Map(target.map((one) => [keyOf(one), one.make]))
  const wanted = new Set(source.map(keyOf))
  return kinds.flatMap((kind) => [
    ...target.flatMap((one) => (one.kind === kind && one.unmake !== null && !wanted.has(keyOf(one)) ? one.unmake : [])),
    ...source.flatMap((one) => (one.kind === kind && there.get(keyOf(one)) !== one.make ? one.make : [])),
  ])
}

/**
 * What source and target do not have alike, as parts of a sentence; what is made after the switch does not count. None: the target can
 * take the place of the source.
 */
export function structureDifferences(source: ShardStructure, target: ShardStructure): readonly string[] {
  const isLate = ({ kind }: StructureObject): boolean => phases['after-switch'].includes(kind)
  const there = new Map(target.map((one) => [keyOf(one), one]))
  const wanted = new Set(source.map(keyOf))
  const lacking = source.flatMap((one) => {
    if (isLate(one)) return []
    const found = there.get(keyOf(one))
    if (found?.make === one.make) return []
    return [found ? `${keyOf(one)} is another one: ${found.make}` : `${keyOf(one)} is missing`]
  })
  const extra = target.flatMap((one) => (isLate(one) || wanted.has(keyOf(one)) ? [] : [`${keyOf(one)} is new`]))
  return Object.freeze([...lacking, ...extra])
}
