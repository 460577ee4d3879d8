import type { Node } from '@pgsql/types'
import type { Deparser } from 'pgsql-deparser'
import { type ShardedError, unsupported } from '../errors/sharded-error'
import { type ParsedStatement, parseStatement } from './parse-statement'
import { printerOn } from './printer'
import { isTreeObject, treeText } from './tree'

let printer: typeof Deparser | undefined

/** Loaded when it is used: it is half a megabyte, and a statement of one shard is never printed. */
function loadPrinter(): typeof Deparser {
  const { Deparser: Library }: typeof import('pgsql-deparser') = require('pgsql-deparser')
  return printerOn(Library)
}

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
  throw unprintable(again ? differingPart(statement, again) : undefined, { statement: text.slice(0, 500) })
}

function printed(statement: Node): string {
  printer ??= loadPrinter()
  try {
    return new printer(statement, { pretty: false }).deparseQuery()
  } catch (error) {
    // The library knows no printer of some node, and names it.
    throw unprintable(/node type:?\s*(\w+)/i.exec(String(error))?.[1], { reason: String(error) })
  }
}

/** The innermost node, by the name of its type in PostgreSQL's grammar, that holds all that two trees differ in. */
function differingPart(left: unknown, right: unknown): string | undefined {
  if (!isTreeObject(left) || !isTreeObject(right)) return undefined
  const fields = [...new Set([...Object.keys(left), ...Object.keys(right)])]
  const [field, another] = fields.filter((one) => treeText({ [one]: left[one] }) !== treeText({ [one]: right[one] }))
  if (field === undefined || another !== undefined) return undefined
  return differingPart(left[field], right[field]) ?? (/^[A-Z]/.test(field) ? field : undefined)
}

const unprintable = (part: string | undefined, details: Readonly<Record<string, unknown>>): ShardedError =>
  unsupported(
    `The statement cannot be written anew for the shards${part === undefined ? '' : `: its ${part} would be lost or changed`}. Write that part otherwise, or narrow the statement to one shard.`,
    { ...details, ...(part !== undefined && { part }) },
  )
