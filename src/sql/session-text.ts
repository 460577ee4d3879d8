import type { Node } from '@pgsql/types'
import { LRUCache } from 'lru-cache'
import { ofText } from '../collections/of-text'
import { mayCallSessionFunction } from './config-call'
import { parse } from './parser'
import { type SessionStatement, sessionStatement } from './session-statement'

/** One statement of a text. */
export interface TextPart {
  readonly text: string
  readonly node: Node
  /** What it does to its session; undefined for a statement that leaves it as it is. */
  readonly session: SessionStatement | undefined
}

/** Texts that are remembered, and the longest of them. */
const maxRemembered = 500
const maxRememberedLength = 20_000

const remembered = new LRUCache<string, readonly TextPart[] | 'other'>({ max: maxRemembered })

const firstWord =
  /^(?:\s|\/\*[\s\S]*?\*\/|--[^\n]*(?:\n|$)|;)*(?:begin|start|commit|end|abort|rollback|savepoint|release|set|reset|prepare|execute|deallocate|discard|declare|listen|unlisten|notify|load|create\s[^(]*\btemp(?:orary)?)\b/i
const intoTemporary = /\binto\s+(?:(?:local|global)\s+)?temp/i
const several = /;\s*\S/

/** False only for a text that certainly leaves its session as it is: it need not be parsed. */
export const mayChangeSession = ofText(
  (text) => firstWord.test(text) || mayCallSessionFunction.test(text) || several.test(text) || intoTemporary.test(text),
)

/**
 * The statements of a text of which at least one changes its session; undefined for all other texts, and for what is no SQL.
 * The parser must be loaded.
 *
 * @example sessionText("BEGIN; SET LOCAL a.b = '1'") // two parts: { text: 'BEGIN', session: { kind: 'begin', … } }, …
 */
export function sessionText(text: string): readonly TextPart[] | undefined {
  const known = remembered.get(text)
  if (known) return known === 'other' ? undefined : known
  const parts = partsOf(text)
  const found = parts.some(({ session }) => session) ? parts : undefined
  if (text.length <= maxRememberedLength) remembered.set(text, found ?? 'other')
  return found
}

function partsOf(text: string): readonly TextPart[] {
  // The parser counts bytes, and gives the last statement no length.
  const bytes = Buffer.from(text)
  const parts = (parse(text) ?? []).flatMap(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
    if (!stmt) return []
    const end = length === undefined ? bytes.length : start + length
    return [{ text: bytes.toString('utf8', start, end), node: stmt, session: sessionStatement(stmt) }]
  })
  return Object.freeze(parts)
}
