import type { SelectStmt, SubLink } from '@pgsql/types'
import { isStar } from '../../sql/output-name'
import { leftmost } from '../../sql/statement-parts'
import { fieldsOf, namesOf } from '../../sql/tree'
import { targetAt } from '../clause-term'
import { type Equality, ties } from '../equalities'
import { meetsOuter } from '../meeting-tables'
import type { Scope, TableUse } from '../scope'
import type { Findings, Link } from './findings'
import { isNeverNull } from './local-groups'
import type { QueryBlock, QueryPart, QueryReader } from './query-part'

/** A subquery of an expression. */
export interface Subquery {
  readonly link: SubLink
  /** It is a condition that all rows of its query meet. */
  readonly isRequired: boolean
}

/** Subqueries of expressions: each is a part of the query around it where it is local, and is run first where it is not. */
export class Subqueries {
  constructor(
    private readonly reader: QueryReader,
    private readonly findings: Findings,
  ) {}

  /** @returns the part of the query around it, with the subquery where that is local */
  read(subquery: Subquery, scope: Scope, part: QueryPart): QueryPart {
    const read = this.query(subquery, scope, part)
    const { testexpr } = subquery.link
    return testexpr ? this.reader.expressions([testexpr], scope, read) : read
  }

  private query(subquery: Subquery, scope: Scope, part: QueryPart): QueryPart {
    const { link, isRequired } = subquery
    const select = fieldsOf(link.subselect, 'SelectStmt')
    if (!select) return part
    const before = this.findings.links.length
    const block = this.reader.select(select, scope)
    const links = this.findings.links.slice(before)
    if (link.subLinkType !== 'EXISTS_SUBLINK') this.findings.askByRow(block)
    if (givesStar(select) && block.outputs?.[0]) this.findings.starNames.set(select, block.outputs[0].name)
    const kind = link.subLinkType === 'EXISTS_SUBLINK' ? 'exists' : 'select'
    if (block.uses.size === 0) {
      if (this.findings.isApart(block, select)) this.findings.detach(block, { node: select, kind }, scope)
      return part
    }
    // Where the condition holds, the subquery has had a row.
    const isProof = isRequired && link.subLinkType !== 'ALL_SUBLINK' && !block.isUnproven
    const withProven = (proven: readonly Equality[]): QueryPart => ({
      ...part,
      uses: new Set([...part.uses, ...block.uses]),
      equalities: [...part.equalities, ...(isProof ? proven : ties(block.uses, proven))],
    })
    const compared = this.compared(subquery, scope, block)
    if (isProof) this.linkOutside(scope, [...ownLinks(block, links, this.findings.optional), ...compared])
    if (this.findings.isLinkedOutside(block)) return withProven(block.equalities)
    if (compared.length > 0 && block.isConcatenable) {
      const whole = withProven([...block.equalities, ...compared])
      if (meetsOuter(block.uses, part.uses, whole.equalities)) return whole
    }
    this.findings.detach(block, { node: select, kind }, scope)
    return part
  }

  /** Where a subquery is required, rows of this query matter only where they share a value with one of its rows. */
  private linkOutside(scope: Scope, pairs: readonly Equality[]): void {
    for (const [outer, inner] of pairs)
      if (isItemOf(outer.use, scope) && !this.findings.optional.has(outer.use)) this.findings.link(outer, inner, false)
  }

  /**
   * `x IN (SELECT y …)` and `x <> ALL (…)` pair x with y. Below a NOT, a y that is NULL says something of every shard, and
   * an x that is NULL asks of every shard whether it has any y.
   */
  private compared({ link, isRequired }: Subquery, scope: Scope, { outputs = [] }: QueryBlock): readonly Equality[] {
    const operator = namesOf(link.operName)?.at(-1) ?? '='
    const isAny = link.subLinkType === 'ANY_SUBLINK' && operator === '='
    const isNone = link.subLinkType === 'ALL_SUBLINK' && operator === '<>'
    if (!(isAny || isNone) || !link.testexpr) return []
    const tests = 'RowExpr' in link.testexpr ? (link.testexpr.RowExpr.args ?? []) : [link.testexpr]
    const { optional } = this.findings
    return tests.flatMap((test, index): Equality[] => {
      const outer = scope.column(test)
      const inner = outputs[index]?.base
      if (!outer || !inner) return []
      const isPair = (isRequired && isAny) || (isNeverNull(outer, optional) && isNeverNull(inner, optional))
      return isPair ? [[outer, inner]] : []
    })
  }
}

/** Of the links of a subquery, those that all rows of its own FROM clause meet: columns of outer queries, and its own. */
const ownLinks = (
  { scope }: QueryBlock,
  links: readonly Link[],
  optional: ReadonlySet<TableUse>,
): readonly Equality[] =>
  links.flatMap(({ column, by }): Equality[] =>
    isItemOf(column.use, scope) && !optional.has(column.use) ? [[by, column]] : [],
  )

const isItemOf = (use: TableUse, { items }: Scope): boolean => items.some((item) => item.use === use)

const givesStar = (select: SelectStmt): boolean => isStar(targetAt(leftmost(select), 1))
