import type { EntityMetadata } from 'typeorm'
import { ofText } from '../../collections/of-text'
import { isRead } from '../../endpoints/is-read'
import { isReferenceEntity, type ShardedModel } from '../../model/sharded-entity'
import { type ReferenceWrite, writtenTables } from '../../references/written-tables'
import { parseStatement } from '../../sql/parse-statement'
import { quoted } from '../../values/quoted'
import { type GroupOf, ownerOfJunction } from './colocation-group'

/** A reference table, as entities declare it. */
export interface ReferenceTable {
  /** Under which versions and changes of it are noted. */
  readonly name: string
  /** Undefined: the one where a node looks for names first. */
  readonly schema: string | undefined
  readonly table: string
  /** It, and those whose rows a write of it may change by foreign keys, in order. */
  readonly reached: readonly string[]
  /** The groups whose rows a write of it may change by foreign keys. */
  readonly groups: readonly string[]
}

/** Whether a table is a reference table: an entity's, or the junction or closure table that such an entity owns. */
export const isReferenceTable =
  (model: ShardedModel) =>
  (metadata: EntityMetadata): boolean => {
    const { target } = ownerOfJunction(metadata) ?? metadata
    return isReferenceEntity(model, target)
  }

/** The reference tables of a data source. */
export class References {
  private readonly byName: ReadonlyMap<string, ReferenceTable>
  private readonly targets: ReadonlySet<unknown>
  private readonly names: RegExp
  private unlike: ReadonlySet<string> = new Set()
  private readonly hasName = ofText((text) => this.names.test(text))

  constructor(
    /** Each after those that it refers to, where they do not refer to each other. */
    readonly all: readonly ReferenceTable[],
    private readonly searched = 'public',
    /** The entities of them, by class or name. */
    targets: Iterable<unknown> = [],
  ) {
    this.targets = new Set(targets)
    this.byName = new Map(all.map((one) => [one.name, one]))
    const names = all.map(({ table }) => table.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    this.names = new RegExp(`(?<![\\p{L}\\p{N}_$])(?:${names.join('|')})(?![\\p{L}\\p{N}_$])`, 'iu')
  }

  /** The reference table that a name means. @param schema as written; undefined where the name is not qualified */
  of(schema: string | undefined, table: string): ReferenceTable | undefined {
    return this.all.find((one) => {
      const own = one.schema ?? this.searched
      return one.table === table && (schema ?? this.searched) === own
    })
  }

  /** Whether an entity's rows are in one. */
  has(target: unknown): boolean {
    return this.targets.has(target)
  }

  /** Notes those whose columns do not stand in one order on all nodes. */
  setUnlike(names: Iterable<string>): void {
    this.unlike = new Set(names)
  }

  /** Whether a table's columns stand in one order on all nodes. */
  isAlike(schema: string | undefined, table: string): boolean {
    return this.unlike.size === 0 || !this.unlike.has(this.of(schema, table)?.name ?? '')
  }

  named(name: string): ReferenceTable | undefined {
    return this.byName.get(name)
  }

  /** The tables by their names, on a node that looks for names in a schema. */
  pathsOn(searched: string): ReadonlyMap<string, string> {
    return new Map(this.all.map((table) => [table.name, pathOn(table, searched)]))
  }

  /** What a text does to reference tables; undefined where it only reads them, or names none. The parser must be loaded. */
  writtenBy(text: string): ReferenceWrite | undefined {
    if (this.all.length === 0 || !this.hasName(text) || isRead(text)) return undefined
    const statements = parseStatement(text)?.statements ?? []
    return writtenTables(statements, (schema, table) => this.of(schema, table)?.name)
  }
}

/** Qualified and quoted, on a node that looks for names in a schema. */
export const pathOn = ({ schema, table }: ReferenceTable, searched: string): string =>
  `${quoted(schema ?? searched)}.${quoted(table)}`

interface Found {
  readonly model: ShardedModel
  readonly groupOf: GroupOf
  /** The schema where names without one are looked for. */
  readonly searched: string
}

/** The name of a table under which it is noted. */
export const referenceName = ({ schema, tableName }: EntityMetadata): string =>
  schema ? `${schema}.${tableName}` : tableName

/** The reference tables of entities, and what foreign keys to them may have the database write. */
export function bindReferences(metadatas: readonly EntityMetadata[], { model, groupOf, searched }: Found): References {
  const isReference = isReferenceTable(model)
  // Children of single-table inheritance stand in their parent's table, and foreign keys of each in its own metadata.
  const own = metadatas.filter(isReference)
  const referring = (name: string) =>
    metadatas.filter((one) => one.foreignKeys.some((key) => referenceName(key.referencedEntityMetadata) === name))
  const reachedFrom = (name: string, known = new Set<string>()): ReadonlySet<string> => {
    if (known.has(name)) return known
    known.add(name)
    for (const one of referring(name).filter(isReference)) reachedFrom(referenceName(one), known)
    return known
  }
  const tables = new Map<string, ReferenceTable>()
  for (const metadata of own) {
    const name = referenceName(metadata)
    const reached = [...reachedFrom(name)].sort()
    const groups = reached.flatMap(referring).flatMap((one) => groupOf(one) ?? [])
    const { schema, tableName: table } = metadata
    tables.set(name, Object.freeze({ name, schema, table, reached, groups: Object.freeze([...new Set(groups)]) }))
  }
  // What many refer to comes first: it reaches what refers to it, and more.
  const sorted = [...tables.values()].sort((a, b) => b.reached.length - a.reached.length)
  return new References(
    Object.freeze(sorted),
    searched,
    own.map(({ target }) => target),
  )
}
