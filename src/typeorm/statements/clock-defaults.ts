import type { Node } from '@pgsql/types'
import type { EntityMetadata } from 'typeorm'
import { withWrittenDefaults } from '../../planning/written-defaults'
import { targetTable } from '../../sql/statement-parts'
import { clockExpression, clockTexts } from '../binding/clock-defaults'

const name = String.raw`(?:"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*)`

/** A write that may take defaults, and the last name of its table. A `\b` with the flag `u` is slow: it does not stand first. */
const written = new RegExp(
  String.raw`(?<!\w)(?:insert\s+into|update(?=[^]*\bdefault\b))\s+(?:only\s+)?(?:${name}\s*\.\s*)?(${name})`,
  'iu',
)

/** The defaults of an entity's table that are one value for all rows of a transaction. */
export class ClockDefaults {
  /** By the name of the table; tables of one name in two schemas are told apart later. */
  private readonly texts = new Map<string, { readonly schema: string | undefined; readonly texts: Texts }[]>()
  private readonly expressions = new Map<Texts, ReadonlyMap<string, Node>>()

  constructor(metadatas: readonly EntityMetadata[]) {
    for (const metadata of metadatas) {
      const texts = clockTexts(metadata)
      if (texts.size === 0) continue
      const known = this.texts.get(metadata.tableName) ?? []
      this.texts.set(metadata.tableName, [...known, { schema: metadata.schema, texts }])
    }
  }

  /** False only for texts that certainly take no such default. */
  mayTake(text: string): boolean {
    if (this.texts.size === 0) return false
    const [, table] = written.exec(text) ?? []
    return table !== undefined && this.texts.has(nameOf(table))
  }

  /** The statement with these defaults written out where it takes them; itself where it takes none. */
  written(statement: Node): Node {
    const table = targetTable(statement)
    const defaults = new Map<string, Node>()
    for (const { schema, texts } of this.texts.get(table?.relname ?? '') ?? []) {
      // The tables of entities that inherit from one another are one.
      if (schema === table?.schemaname)
        for (const [column, value] of this.expressionsOf(texts)) defaults.set(column, value)
    }
    return defaults.size === 0 ? statement : withWrittenDefaults(statement, defaults)
  }

  private expressionsOf(texts: Texts): ReadonlyMap<string, Node> {
    const known = this.expressions.get(texts)
    if (known) return known
    const made = new Map<string, Node>()
    for (const [column, text] of texts) {
      const expression = clockExpression(text)
      if (expression) made.set(column, expression)
    }
    this.expressions.set(texts, made)
    return made
  }
}

type Texts = ReadonlyMap<string, string>

const nameOf = (written: string): string =>
  written.startsWith('"') ? written.slice(1, -1).replace(/""/g, '"') : written.toLowerCase()
