import type { SelectStmt, WithClause } from '@pgsql/types'
import { isNamed } from '../../sql/ctes'
import { fieldsOf, namesOf } from '../../sql/tree'
import { ties } from '../equalities'
import { hasVolatile } from '../known-functions'
import { isOneMeeting } from '../meeting-tables'
import { type Cte, type Outputs, Scope, withNames, withoutBases } from '../scope'
import type { Findings } from './findings'
import { holdsLocator } from './local-groups'
import { emptyPart, type QueryBlock, type QueryPart, type QueryReader } from './query-part'
import { refusals } from './refusals'

/** How a FROM clause names a part of it, and the first of the part's columns. */
export interface RangeName {
  readonly alias: string
  readonly names: readonly string[]
}

/** Queries in a FROM clause: derived tables, and the queries of a WITH. */
export class DerivedTables {
  constructor(
    private readonly reader: QueryReader,
    private readonly findings: Findings,
  ) {}

  /**
   * What a query is of the query around it: a part where it is local, and nothing where it is run first.
   *
   * @param around where the query's own names are read: of a CTE, the scope of its WITH
   */
  part(select: SelectStmt, block: QueryBlock, { around, scope, alias, names }: Place): QueryPart {
    const outputs = withNames(block.outputs, names)
    const isLinked = this.findings.isLinkedOutside(block)
    if (block.isUnproven && isLinked) {
      scope.add({ alias, use: undefined, columns: outputs })
      return { uses: block.uses, equalities: ties(block.uses, block.equalities), filters: [] }
    }
    if (!this.findings.isApart(block, select) && (block.uses.size === 0 || block.isConcatenable || isLinked)) {
      scope.add({ alias, use: undefined, columns: outputs })
      return block
    }
    this.findings.detach(block, { node: select, kind: 'select' }, around)
    scope.add({ alias, use: undefined, columns: withoutBases(outputs) })
    return emptyPart
  }

  /** Adds the queries of a WITH to the names of a scope. They are read where they are used. */
  declare(clause: WithClause | undefined, scope: Scope): void {
    const isRecursive = clause?.recursive === true
    for (const node of clause?.ctes ?? []) {
      const { ctename = '', ctequery, aliascolnames } = fieldsOf(node, 'CommonTableExpr') ?? {}
      const select = fieldsOf(ctequery, 'SelectStmt')
      // RECURSIVE lets each name all, itself included.
      const own = new Scope(scope.parent, { ctes: isRecursive ? scope.ctes : new Map(scope.ctes) })
      scope.ctes.set(ctename, {
        node,
        select,
        scope: own,
        owner: scope,
        names: namesOf(aliascolnames) ?? [],
        isRecursive: isRecursive && isNamed(select, ctename),
      })
      if (!select && ctequery) {
        this.findings.refuse(refusals.writingWith)
        this.findings.cluster(this.reader.statement(ctequery, own))
      }
    }
  }

  /** PostgreSQL reads no CTE that nothing names; the tables in it must be there all the same. */
  mentionUnused(scope: Scope): void {
    for (const cte of [...scope.ctes.values()].reverse()) {
      if (cte.owner !== scope || cte.isUsed || !cte.select) continue
      const forget = this.findings.mark()
      cte.isUsed = true
      cte.isOpen = cte.isRecursive
      this.reader.select(cte.select, cte.scope)
      cte.isOpen = false
      forget('tables')
    }
  }

  use(cte: Cte, { alias, names }: RangeName, scope: Scope): QueryPart {
    cte.isUsed = true
    if (cte.isOpen || !cte.select) {
      scope.add({ alias, use: undefined, columns: cte.isOpen ? withNames(cte.self, names) : undefined })
      return emptyPart
    }
    const block = cte.isRecursive ? this.recursive(cte, cte.select) : this.reader.select(cte.select, cte.scope)
    if (cte.scope.isCorrelated) scope.correlate(cte.owner)
    const ownNames = names.length > 0 ? names : cte.names
    // A recursive query of no shard stays whole, and what it reads is sent.
    if (cte.isRecursive && block.uses.size === 0) {
      scope.add({ alias, use: undefined, columns: withNames(block.outputs, ownNames) })
      return emptyPart
    }
    return this.part(cte.select, block, { alias, names: ownNames, scope, around: cte.scope })
  }

  /**
   * Inside itself a recursive CTE stands for rows of its first term and of every step. Where both give the same column of
   * one table, a step along a foreign key stays on the shard; a column that is computed tells nothing.
   */
  private recursive(cte: Cte, select: SelectStmt): QueryBlock {
    const { larg, rarg } = select
    if (!larg || !rarg) return this.reader.select(select, cte.scope)
    const first = this.reader.select(larg, cte.scope)
    const forget = this.findings.mark()
    const assumed = withNames(first.outputs, cte.names)
    let step = this.step(cte, rarg, assumed)
    const kept = keptBy(assumed, step.outputs)
    if (kept?.some(({ base }, index) => base !== assumed?.[index]?.base)) {
      forget()
      step = this.step(cte, rarg, kept)
    }
    const uses = new Set([...first.uses, ...step.uses])
    const equalities = [...first.equalities, ...step.equalities]
    const isTogether = isOneMeeting({ uses, equalities })
    const columns = (kept ?? []).map(({ base }) => base)
    const keeps = select.all === true || holdsLocator(columns, { uses, optional: this.findings.optional })
    // First rows of no shard would be on every one.
    const isConcatenable = first.uses.size > 0 && first.isConcatenable && step.isConcatenable && isTogether && keeps
    const outputs = withoutBases(kept)
    const block: QueryBlock = { uses, equalities, filters: [], scope: first.scope, outputs, isConcatenable }
    if (uses.size === 0 && hasVolatile(select, cte.scope.functions)) this.findings.refuse(refusals.volatileRecursion)
    if (uses.size === 0 || isConcatenable || this.findings.isLinkedOutside(block)) return block
    // It cannot be taken out of itself: its first rows can, where the steps read no table.
    if (step.uses.size === 0) this.findings.detach(first, { node: larg, kind: 'select' }, cte.scope)
    else {
      this.findings.cluster(block)
      if (isTogether) this.findings.refuse(refusals.recursionElsewhere)
    }
    return { ...block, ...emptyPart }
  }

  private step(cte: Cte, select: SelectStmt, self: Outputs): QueryBlock {
    const { isStep } = this.findings
    cte.self = self
    cte.isOpen = true
    this.findings.isStep = true
    const step = this.reader.select(select, cte.scope)
    this.findings.isStep = isStep
    delete cte.self
    cte.isOpen = false
    return step
  }
}

interface Place extends RangeName {
  readonly scope: Scope
  readonly around: Scope
}

/** The columns of a recursive query's first term that are, in a step, the same columns of the same tables. */
const keptBy = (assumed: Outputs, given: Outputs): Outputs =>
  assumed?.map(({ name, base }, index) => {
    const other = given?.[index]?.base
    const isKept = base && other?.name === base.name && other.use.table === base.use.table
    return { name, base: isKept ? base : undefined }
  })
