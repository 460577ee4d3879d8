import type { Detached } from '../routing/statement-analysis'
import { nameOfUse } from './detached-select'
import { type Answer, shippedSelect, tableNamed } from './ship-answer'
import { shippedSide } from './shipped-side'

/**
 * What stands in the place of a detached part that was run.
 *
 * @param ship notes its rows as those of a CTE, and gives its name
 */
export function replacementOf(part: Detached, answer: Answer, ship: (answer: Answer) => string): unknown {
  if (part.kind === 'table')
    return { RangeVar: { ...tableNamed(ship(answer)), alias: { aliasname: nameOfUse(part.carried.use) } } }
  if (part.kind !== 'source') return shippedSelect(ship(answer))
  const { columns } = answer
  const numbered = columns.map((column, index) => ({ ...column, name: `c${index}` }))
  return shippedSide(ship({ ...answer, columns: numbered }), part.node, columns)
}
