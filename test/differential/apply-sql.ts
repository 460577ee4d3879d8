import type { EntityManager } from 'typeorm'
import { decode } from './data'
import type { Sql } from './operation'
import { describe } from './outcome'

/** Runs a statement given as SQL. */
export async function applySql(manager: EntityManager, operation: Sql): Promise<unknown> {
  const { text, parameters } = statementOf(operation)
  return describe(await manager.query(text, parameters))
}

/** The text, with `$1`, `$2`, … for the parameters. */
export function statementOf({ clauses }: Sql): { readonly text: string; readonly parameters: unknown[] } {
  const parameters: unknown[] = []
  const texts = clauses
    .filter(({ parts }) => parts.length > 0)
    .map(({ head, between, parts }) => {
      const list = parts.map(({ sql, of }) => {
        const values = of.map(decode)
        let next = 0
        return sql.replaceAll('?', () => {
          parameters.push(values[next])
          next += 1
          return `$${parameters.length}`
        })
      })
      return `${head} ${list.join(between)}`.trim()
    })
  return { text: texts.join(' '), parameters }
}
