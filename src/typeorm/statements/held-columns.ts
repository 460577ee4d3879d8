import type { Node, RangeVar } from '@pgsql/types'
import { placeholderSchema, tableOn } from '../../planning/bind-shard-names'
import type { HeldTable } from '../../planning/schema-check'
import type { ShardedTable, TableCatalog } from '../../routing/table-catalog'
import { isRangeVar, type TreeObject, visit } from '../../sql/tree'
import { quoted } from '../../values/quoted'
import type { ShardRuntime } from '../runners/shard-runtime'

interface HeldColumn {
  readonly name: string
  readonly isNullable: boolean
}

interface Held {
  readonly columns: readonly HeldColumn[]
  /** Undefined where they may be others by now. */
  readonly askedAt: number | undefined
}

/** Columns that were asked for longer ago are asked for again, while those known are used. */
const maxAgeMs = 60_000

/**
 * The tables with the columns that databases hold, in the databases' order. A property that was added in the middle of a class
 * is the last column of its table, and a table may have columns that its entity lacks. A `*`, an INSERT without a list of
 * columns, and an alias that names columns mean the table's columns by their places.
 *
 * The first shard that answers stands for all: every shard of a table is to have one order.
 */
export class HeldColumns implements TableCatalog {
  readonly types: ReadonlySet<string>
  readonly names: readonly string[]
  /** Grows when something new is known: what was read of a statement before may be wrong then. */
  version = 0
  private readonly held = new Map<string, Held>()
  private readonly tables = new Map<string, ShardedTable>()
  private readonly asked = new Map<string, Promise<void>>()

  constructor(
    private readonly declared: TableCatalog,
    private readonly runtime: ShardRuntime,
  ) {
    this.types = declared.types
    this.names = declared.names
  }

  table(schema: string | undefined, name: string): ShardedTable | undefined {
    const table = this.declared.table(schema, name)
    return table && (this.tables.get(table.name) ?? table)
  }

  isOfSharded(schema: string | undefined): boolean {
    return this.declared.isOfSharded(schema)
  }

  isReference(schema: string | undefined, name: string): boolean {
    return this.declared.isReference(schema, name)
  }

  /**
   * The tables as a statement means them. One that means columns by their places takes the rows of a reference table from the home node,
   * as those of an unsharded one, where a copy has the columns in another order.
   */
  for(statement: Node): TableCatalog {
    const { references } = this.runtime
    if (tablesByPlace(statement).length === 0) return this
    const isReference = (schema: string | undefined, name: string): boolean =>
      references.isAlike(schema, name) && this.isReference(schema, name)
    return Object.create(this, { isReference: { value: isReference } })
  }

  homeColumns(schema: string | undefined, name: string): readonly string[] | undefined {
    const declared = this.declared.homeColumns(schema, name)
    return declared && (this.held.get(homeName(schema, name))?.columns.map((column) => column.name) ?? declared)
  }

  /** Asks for the columns of tables. @throws the error of the last node asked, where none answers and nothing is known */
  async learn(tables: readonly RangeVar[]): Promise<void> {
    for (const { schemaname, relname = '' } of tables) {
      const table = this.declared.table(schemaname, relname)
      if (table) await this.fresh(table.name, () => this.askShards(table))
      else if (this.declared.homeColumns(schemaname, relname)) {
        const name = homeName(schemaname, relname)
        await this.fresh(name, async () => void this.note(name, await this.ask(this.runtime.map.home, name)))
      }
    }
  }

  /** The tables are asked again before their columns are next meant by their places. */
  doubt(): void {
    for (const name of this.held.keys()) this.doubtOne(name)
  }

  /** Those of some tables whose columns were asked for: of a group of shards, or with undefined of the home node. */
  of(tables: readonly RangeVar[], group: string | undefined): readonly HeldTable[] {
    const all = tables.flatMap(({ schemaname, relname = '' }) => {
      const table = this.declared.table(schemaname, relname)
      const isAsked = table ? table.group === group : group === undefined
      const key = table ? table.name : homeName(schemaname, relname)
      const width = isAsked ? this.held.get(key)?.columns.length : undefined
      const name = table ? `"${placeholderSchema}".${quoted(table.name)}` : key
      return width === undefined ? [] : [{ name, width }]
    })
    return [...new Map(all.map((table) => [table.name, table])).values()]
  }

  /** Asks anew for the columns of tables. @returns whether they are others than those that statements were made of */
  async refresh(tables: readonly RangeVar[]): Promise<boolean> {
    const before = this.usedOf(tables)
    for (const { schemaname, relname = '' } of tables) {
      this.doubtOne(this.declared.table(schemaname, relname)?.name ?? homeName(schemaname, relname))
    }
    await this.learn(tables)
    return this.usedOf(tables) !== before
  }

  /** What statements are made of: of a table that was never asked for, that is what entities declare. */
  private usedOf(tables: readonly RangeVar[]): string {
    return JSON.stringify(
      tables.map(({ schemaname, relname = '' }) => {
        const table = this.table(schemaname, relname)
        if (!table) return this.homeColumns(schemaname, relname)
        return [...table.columns].map(([name, { isNullable }]) => [name, isNullable])
      }),
    )
  }

  private doubtOne(name: string): void {
    const known = this.held.get(name)
    if (known) this.held.set(name, { ...known, askedAt: undefined })
  }

  private async fresh(name: string, ask: () => Promise<void>): Promise<void> {
    const known = this.held.get(name)
    const askedAt = known?.askedAt
    if (askedAt !== undefined && Date.now() - askedAt < maxAgeMs) return
    const asking = this.asked.get(name) ?? ask().finally(() => this.asked.delete(name))
    this.asked.set(name, asking)
    if (askedAt === undefined) return asking
    // A node that does not answer holds up nothing that is known.
    asking.catch(() => undefined)
  }

  private async askShards(table: ShardedTable): Promise<void> {
    const shards = this.runtime.map.groups.get(table.group) ?? []
    const onNodes = new Map([...shards].reverse().map((shard) => [shard.node, shard]))
    let failure: unknown
    for (const shard of [...onNodes.values()].reverse()) {
      try {
        const columns = await this.ask(shard.node, tableOn(table.name, shard))
        if (!this.note(table.name, columns)) return
        const entries = columns.map(
          ({ name, isNullable }) =>
            [name, table.columns.get(name) ?? { isNullable, timeType: undefined, type: undefined }] as const,
        )
        this.tables.set(table.name, Object.freeze({ ...table, columns: new Map(entries) }))
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** @returns whether they are others than those known */
  private note(name: string, columns: readonly HeldColumn[]): boolean {
    const isNew = columns.length > 0 && JSON.stringify(this.held.get(name)?.columns) !== JSON.stringify(columns)
    if (columns.length > 0) this.held.set(name, { columns, askedAt: Date.now() })
    if (isNew) this.version += 1
    return isNew
  }

  private async ask(node: string, table: string): Promise<readonly HeldColumn[]> {
    const { rows } = await this.runtime.pool(node).background.query(question, [table])
    return rows.map((row) => ({ name: String(row['name']), isNullable: row['nullable'] === true }))
  }
}

const homeName = (schema: string | undefined, name: string): string =>
  schema === undefined ? quoted(name) : `${quoted(schema)}.${quoted(name)}`

const question = `SELECT a.attname AS name, NOT a.attnotnull AS nullable FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

/** The tables of a statement that may mean their columns by place; none where it names all of them. */
export function tablesByPlace(statement: Node): readonly RangeVar[] {
  const tables: RangeVar[] = []
  let isByPlace = false
  visit(statement, (object) => {
    if (isRangeVar(object)) tables.push(object)
    if (meansPlaces(object)) isByPlace = true
  })
  return isByPlace ? tables : []
}

const meansPlaces = (object: TreeObject): boolean =>
  'A_Star' in object ||
  object['isNatural'] === true ||
  Array.isArray(object['colnames']) ||
  // An INSERT of rows, without names of columns.
  ('selectStmt' in object && !('cols' in object))
