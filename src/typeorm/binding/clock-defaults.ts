import type { Node } from '@pgsql/types'
import type { EntityMetadata } from 'typeorm'
import { carriedCalls } from '../../routing/carried-calls'
import { settledFunctions, transactionClock } from '../../routing/distribution/function-lists'
import { nameOfCall, noFunctions } from '../../routing/known-functions'
import { parseStatement } from '../../sql/parse-statement'
import { loadParser } from '../../sql/parser'
import { isTreeObject, someNode } from '../../sql/tree'

/** Without one of these words a default says nothing of the time or the user. */
const clockWords =
  /\b(?:now|transaction_timestamp|current_(?:date|time|timestamp|user|role)|localtime|localtimestamp|session_user|user)\b/i

/** A time that PostgreSQL reads when the table is made: the default is then a constant. */
const constantTime = /'\s*(?:now|today|tomorrow|yesterday)/i

/** The columns whose default may be a clock, by name in the database, with the SQL of the default. No parser is needed yet. */
export function clockTexts({ columns }: Pick<EntityMetadata, 'columns'>): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const column of columns) {
    const text: unknown = typeof column.default === 'function' ? column.default() : undefined
    if (typeof text === 'string' && clockWords.test(text) && !constantTime.test(text))
      found.set(column.databaseName, text)
  }
  return found
}

/** The columns whose default is one value for all rows of a transaction, with the SQL of the default. */
export async function clockDefaults(metadata: Pick<EntityMetadata, 'columns'>): Promise<ReadonlyMap<string, string>> {
  const texts = clockTexts(metadata)
  if (texts.size > 0) await loadParser()
  return new Map([...texts].filter(([, text]) => clockExpression(text) !== undefined))
}

/**
 * The expression of a default that is one value for all rows of a transaction, and hangs on the node's clock or user;
 * undefined for any other, and for one that calls what may differ by row.
 */
export function clockExpression(text: string): Node | undefined {
  const [statement] = parseStatement(`SELECT ${text}`)?.statements ?? []
  const [target, another] = statement && 'SelectStmt' in statement ? (statement.SelectStmt.targetList ?? []) : []
  const expression = target && 'ResTarget' in target ? target.ResTarget.val : undefined
  if (!expression || another || !carriedCalls(expression, noFunctions)) return undefined
  const isUnsettled = someNode(expression, ({ FuncCall: call }) => {
    const name = isTreeObject(call) ? nameOfCall(call) : undefined
    return name !== undefined && !settledFunctions.has(name) && !transactionClock.has(name)
  })
  return isUnsettled ? undefined : expression
}
