import { physicalName } from '../planning/bind-shard-names'
import type { ProofFacts } from '../planning/united-form'

/** Asks a node, on a connection of its own. */
type AskNode = (node: string, text: string) => Promise<{ readonly rows: readonly RuleRow[] }>

interface RuleRow {
  readonly schema: string
  readonly name: string
}

/**
 * The tables of each node whose UPDATE or DELETE has a rule: PostgreSQL refuses most of those in a WITH. A node is asked
 * once, and again after it has refused a statement.
 */
export class RuleCatalog {
  private readonly asked = new Map<string, Promise<ReadonlySet<string>>>()

  constructor(private readonly ask: AskNode) {}

  /** Whether a shard's table has a rule, as these nodes say. The tables of a node that does not answer may have one. */
  async of(nodes: readonly string[]): Promise<ProofFacts['hasRules']> {
    const known = new Map<string, ReadonlySet<string> | undefined>()
    await Promise.all(nodes.map(async (node) => known.set(node, await this.load(node).catch(() => undefined))))
    return (shard, table) => known.get(shard.node)?.has(placeOf(physicalName(table, shard))) ?? true
  }

  /** A rule may have been made since the node was asked. */
  forget(node: string): void {
    this.asked.delete(node)
  }

  private load(node: string): Promise<ReadonlySet<string>> {
    const known = this.asked.get(node)
    if (known) return known
    const loading = this.ask(node, question).then(({ rows }) => new Set(rows.map(placeOf)))
    this.asked.set(node, loading)
    loading.catch(() => this.asked.delete(node))
    return loading
  }
}

const placeOf = ({ schema, name }: RuleRow): string => JSON.stringify([schema, name])

/** Rules of UPDATE are of type 2, those of DELETE of type 4. */
const question = `SELECT DISTINCT n.nspname::text AS schema, c.relname::text AS name FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE r.ev_type IN ('2', '4') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`
