import type { Node } from '@pgsql/types'
import { LRUCache } from 'lru-cache'
import { parse } from './parser'
import { visit } from './tree'

/** A statement as PostgreSQL's own parser reads it. Frozen by agreement: whoever changes a tree copies it first. */
export interface ParsedStatement {
  readonly text: string
  /** The statements of the text; one for nearly every text. */
  readonly statements: readonly Node[]
}

/** Letters of the texts that are remembered, and of the longest: TypeORM makes the same texts again and again. A tree has some 30 bytes a letter. */
const maxRememberedLetters = 4_000_000
const maxRememberedLength = 20_000

/** What a tree weighs beside its text. */
const lettersOfTree = 1_000

const remembered = new LRUCache<string, ParsedStatement>({
  maxSize: maxRememberedLetters,
  sizeCalculation: ({ text }) => text.length + lettersOfTree,
})

/**
 * Parses a text, remembering texts of ordinary length. The parser must be loaded.
 *
 * @returns undefined where the text is no SQL: the server then says what is wrong with it, as it would without us
 */
export function parseStatement(text: string): ParsedStatement | undefined {
  const known = remembered.get(text)
  if (known) return known
  const parsed = treeOf(text)
  if (parsed && text.length <= maxRememberedLength) remembered.set(text, parsed)
  return parsed
}

/**
 * `SET (a, b) = (SELECT …)` is one query for two columns, of which the parser's JSON has a copy for each: both become one
 * object again, as what stands in a place of the text is looked for by its object.
 */
function shareAssignments(tree: unknown): void {
  let source: Node | undefined
  visit(tree, ({ MultiAssignRef: found }) => {
    if (found?.colno === 1) source = found.source
    else if (found && source) found.source = source
  })
}

function treeOf(text: string): ParsedStatement | undefined {
  const statements = parse(text)
  if (!statements) return undefined
  shareAssignments(statements)
  return Object.freeze({ text, statements: Object.freeze(statements.flatMap(({ stmt }) => (stmt ? [stmt] : []))) })
}
