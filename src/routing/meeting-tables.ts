import { columnClasses, type Equality } from './equalities'
import type { TableUse } from './scope'

type Uses = ReadonlySet<TableUse>

interface Meeting {
  readonly uses: Uses
  readonly equalities: readonly Equality[]
}

/** Table uses whose rows can only meet on one shard, put together: they agree in locators of one domain. */
export function meetingTables({ uses, equalities }: Meeting): readonly Uses[] {
  const classes = columnClasses(equalities)
  const parts: Set<TableUse>[] = []
  const partOf = new Map<string, Set<TableUse>>()
  for (const use of uses) {
    let part = new Set([use])
    parts.push(part)
    for (const locator of use.table.locators) {
      const members = locator.columns.map((name) => classes(use, name))
      if (members.some((member) => member === undefined)) continue
      const text = `${locator.domain}|${members.join(',')}`
      const other = partOf.get(text)
      if (other && other !== part) {
        for (const one of part) other.add(one)
        for (const [key, value] of partOf) if (value === part) partOf.set(key, other)
        parts.splice(parts.indexOf(part), 1)
        part = other
      }
      partOf.set(text, part)
    }
  }
  return parts
}

/** True where the rows of all tables can only meet on one shard. */
export const isOneMeeting = (part: Meeting): boolean => meetingTables(part).length <= 1

/** True where every table of `inner` meets a table of `outer`: for one row of that, all rows of `inner` are on one shard. */
export function meetsOuter(inner: Uses, outer: Uses, equalities: readonly Equality[]): boolean {
  const parts = meetingTables({ uses: new Set([...outer, ...inner]), equalities })
  return [...inner].every((use) => parts.some((part) => part.has(use) && [...outer].some((one) => part.has(one))))
}

/**
 * True where every table of a query meets a column of an outer query: for one outer row, all its rows are on one shard.
 *
 * @param absent tables of outer queries that are on no shard of the statement
 */
export function meetsOutside({ uses, equalities }: Meeting, absent: Uses): boolean {
  const outside = equalities.flat().flatMap(({ use }) => (uses.has(use) ? [] : [use]))
  const parts = meetingTables({ uses: new Set([...uses, ...outside]), equalities })
  const isOutside = (use: TableUse) => !uses.has(use) && !absent.has(use)
  return [...uses].every((use) => parts.some((part) => part.has(use) && [...part].some(isOutside)))
}
