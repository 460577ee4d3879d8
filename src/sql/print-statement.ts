import type { Node } from '@pgsql/types'
import { ShardedError } from '../errors/sharded-error'
import { type ParsedStatement, parseStatement } from './parse-statement'
import { Printer } from './printer'
import { treeText } from './tree'

/**
 * Prints a syntax tree as SQL. What is printed is parsed again and must say the same: a printer that lost a word would
 * change an answer silently, so it is refused here.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function printStatement(statement: Node): ParsedStatement {
  const text = printed(statement)
  const parsed = parseStatement(text)
  const [again, another] = parsed?.statements ?? []
  if (parsed && again && !another && treeText(again) === treeText(statement)) return parsed
  throw unprintable({ statement: text.slice(0, 500) })
}

function printed(statement: Node): string {
  try {
    return new Printer(statement, { pretty: false }).deparseQuery()
  } catch (error) {
    // The library knows no printer of some node.
    throw unprintable({ reason: String(error) })
  }
}

const unprintable = (details: Readonly<Record<string, unknown>>): ShardedError =>
  new ShardedError('STATEMENT_UNSUPPORTED', 'A part of the statement cannot be written anew for the shards.', {
    details,
  })
