/** One term of a total order, and where the page starts in it. */
export interface KeysetTerm {
  /** The sort expression, in SQL. */
  readonly expression: string
  /** The cursor's value, in SQL; unused where `isNull`. */
  readonly value: string
  /** The cursor's value is NULL. */
  readonly isNull: boolean
  readonly descending: boolean
  readonly nullsFirst: boolean
  /** The expression may be NULL in some row. */
  readonly nullable: boolean
}

/**
 * The condition for the rows that come after a position of a total order, in SQL. Terms that follow each other in one
 * direction and are never NULL are compared as a row, `(a, b) > (x, y)`, which one index range serves; the others term by
 * term, each only where all before it are equal. Where the first term is never NULL after the position, its bound stands
 * before the rest, so that an index on it serves the mixed forms too.
 *
 * Equality is the database's: texts that a collation holds equal, and -0 and 0, are ties.
 *
 * @example
 * // createdAt DESC, id DESC
 * // ("o"."createdAt", "o"."id") < (:k0, :k1)
 */
export function keysetCondition(terms: readonly KeysetTerm[]): string {
  const runs = runsOf(terms)
  const condition = after(runs)
  const [first, ...others] = runs
  const bound = first && others.length > 0 ? leadingBound(first) : undefined
  if (condition === undefined) return 'FALSE'
  return bound === undefined ? condition : `(${bound} AND ${condition})`
}

/** Terms that are compared at once: several as a row, or a single one that may be NULL. */
type Run = readonly [KeysetTerm, ...KeysetTerm[]]

function runsOf(terms: readonly KeysetTerm[]): readonly Run[] {
  const runs: [KeysetTerm, ...KeysetTerm[]][] = []
  for (const term of terms) {
    const run = runs.at(-1)
    if (run && joins(run[0], term)) run.push(term)
    else runs.push([term])
  }
  return runs
}

const mayBeNull = (term: KeysetTerm): boolean => term.nullable || term.isNull

const joins = (first: KeysetTerm, next: KeysetTerm): boolean =>
  !mayBeNull(first) && !mayBeNull(next) && first.descending === next.descending

/** Undefined: no row comes after. */
function after([run, ...others]: readonly Run[]): string | undefined {
  if (!run) return undefined
  const beyond = strictlyAfter(run)
  const rest = after(others)
  const tie = rest === undefined ? undefined : `(${equal(run)} AND ${rest})`
  if (beyond === undefined || tie === undefined) return beyond ?? tie
  return `(${beyond} OR ${tie})`
}

function strictlyAfter(run: Run): string | undefined {
  const [term] = run
  if (term.isNull) return term.nullsFirst ? `${term.expression} IS NOT NULL` : undefined
  const beyond = compare(run, term.descending ? '<' : '>')
  return term.nullable && !term.nullsFirst ? `(${beyond} OR ${term.expression} IS NULL)` : beyond
}

function equal(run: Run): string {
  return run[0].isNull ? `${run[0].expression} IS NULL` : compare(run, '=')
}

/** With the position's own value in it; undefined where NULL may come after. */
function leadingBound(run: Run): string | undefined {
  const [term] = run
  if (term.isNull || (term.nullable && !term.nullsFirst)) return undefined
  return compare(run, term.descending ? '<=' : '>=')
}

function compare(run: Run, operator: string): string {
  const [only, another] = run
  if (!another) return `${only.expression} ${operator} ${only.value}`
  const expressions = run.map((term) => term.expression).join(', ')
  return `(${expressions}) ${operator} (${run.map((term) => term.value).join(', ')})`
}
