import type { SelectStmt } from '@pgsql/types'
import type { Detached } from '../routing/statement-analysis'
import { nameOfUse } from './detached-select'
import { type Answer, shippedSelect, tableNamed } from './ship-answer'
import { shippedSide } from './shipped-side'

/**
 * What stands in the place of a detached part that was run.
 *
 * @param ship notes its rows as those of a CTE, and gives its name
 */
export function replacementOf(
  { kind, node, carried }: Detached,
  answer: Answer,
  ship: (answer: Answer) => string,
): unknown {
  if (carried) return { RangeVar: { ...tableNamed(ship(answer)), alias: { aliasname: nameOfUse(carried.use) } } }
  if (kind !== 'source') return shippedSelect(ship(answer))
  const { columns } = answer
  const numbered = columns.map((column, index) => ({ ...column, name: `c${index}` }))
  return shippedSide(ship({ ...answer, columns: numbered }), node as SelectStmt, columns)
}
