import type { MergeHelp } from '../../execution/merge-in-order'
import type { AskDatabase } from '../../execution/rank-values'
import { physicalName } from '../../planning/bind-shard-names'
import type { NodeSortFacts } from '../../planning/node-sort-facts'
import { asText, sortForm } from '../../planning/sort-form'
import { typeKind } from '../../planning/type-kind'
import type { Shard } from '../../topology/shard'
import { subjectOf } from '../binding/sort-column'
import type { OrderTerm } from './scatter-order'

/** How a scatter reaches what a merge may want to know. */
export interface OrderHelp {
  readonly ask: AskDatabase
  /** The facts of the nodes asked, with what they say of these collations. */
  readonly factsWith: (collations: readonly string[]) => Promise<readonly NodeSortFacts[]>
  /** A shard of the node that `ask` asks. */
  readonly shard: Shard
}

/** Learns for a merge over columns what their declarations do not say, or say wrongly. */
export function helpMerge({ ask, factsWith, shard }: OrderHelp): MergeHelp<OrderTerm> {
  return {
    ask,
    termFor: async (term, type) => {
      const { comparable } = term.form
      const facts = await factsWith(type.collation === undefined ? [] : [type.collation])
      const form = sortForm(type, facts, subjectOf(term.column))
      const isText = comparable === undefined || comparable === asText
      // What the rows carry was made for the old type: it serves the new one too, or is a text of the value, or is of no use.
      if (comparable !== form.comparable && !isText) return undefined
      const kind = comparable === form.comparable ? form.kind : 'ranked'
      return { ...term, type, form, rankBy: form.rankBy, merge: { ...term.merge, kind } }
    },
    actualType: async ({ column }) => {
      const { schema, name } = physicalName(column.entityMetadata.tableName, shard)
      const [row] = await ask(typeQuery, [schema, name, column.databaseName])
      if (!row) return undefined
      const { type, kind, collation } = row as { type: string; kind: string; collation: string | null }
      return { name: type, kind: typeKind(kind), collation: collation ?? undefined }
    },
  }
}

const typeQuery = `SELECT format_type(t.oid, -1) AS type, t.typtype AS kind,
  CASE c.collname WHEN 'default' THEN '"default"' ELSE concat(quote_ident(s.nspname), '.', quote_ident(c.collname)) END AS collation
  FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation c ON c.oid = a.attcollation LEFT JOIN pg_namespace s ON s.oid = c.collnamespace
  WHERE n.nspname = $1 AND r.relname = $2 AND a.attname = $3`
