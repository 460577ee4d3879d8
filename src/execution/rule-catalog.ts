import { ruledTables, ruledTablesOf, type TableName } from '../endpoints/node-facts'
import { physicalName } from '../planning/bind-shard-names'
import type { ProofFacts } from '../planning/united-form'

interface RuleSources {
  /** What a node said when it was opened. */
  readonly atStart: (node: string) => readonly TableName[]
  /** Asks a node, on a connection of its own. */
  readonly ask: (node: string, text: string) => Promise<{ readonly rows: readonly { readonly ruled: string }[] }>
  /** Tells the connections of a node what it said. */
  readonly learned: (node: string, tables: readonly TableName[]) => void
}

/**
 * The tables of each node whose UPDATE or DELETE has a rule, which a WITH of several shards does not take, or of which the role
 * may not read all, so that such a WITH would be another statement. A node says it when it is opened, and is asked again when
 * it has refused a statement.
 */
export class RuleCatalog {
  private readonly asked = new Map<string, Promise<ReadonlySet<string>>>()

  constructor(private readonly sources: RuleSources) {}

  /** Whether a shard's table has a rule, as these nodes say. The tables of a node that does not answer may have one. */
  async of(nodes: readonly string[]): Promise<ProofFacts['hasRules']> {
    const known = new Map<string, ReadonlySet<string> | undefined>()
    await Promise.all(nodes.map(async (node) => known.set(node, await this.tablesOf(node))))
    return (shard, table) => known.get(shard.node)?.has(placeOf(physicalName(table, shard))) ?? true
  }

  /** Asks a node anew: a rule may have been made since it said. */
  refresh(node: string): void {
    const asking = this.sources.ask(node, `SELECT ${ruledTables}`).then(({ rows }) => {
      const tables = ruledTablesOf(rows[0] ?? {})
      this.sources.learned(node, tables)
      return placesOf(tables)
    })
    this.asked.set(node, asking)
    asking.catch(() => undefined)
  }

  private async tablesOf(node: string): Promise<ReadonlySet<string> | undefined> {
    const asked = this.asked.get(node)
    if (!asked) return placesOf(this.sources.atStart(node))
    try {
      return await asked
    } catch {
      this.refresh(node)
      return undefined
    }
  }
}

const placeOf = ({ schema, name }: TableName): string => JSON.stringify([schema, name])
const placesOf = (tables: readonly TableName[]): ReadonlySet<string> => new Set(tables.map(placeOf))
