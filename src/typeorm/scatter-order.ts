import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../errors/sharded-error'
import type { NodeFacts } from '../execution/node-pool'
import type { SortTerm } from '../merging/sort-term'
import type { ArmOrder } from '../planning/scatter-statement'
import type { ArmQueryBuilder } from './arm-query-builder'
import { type SortColumn, sortColumn } from './sort-column'

/** One term of the ORDER BY, with the hidden columns that carry it. */
export interface OrderTerm {
  readonly merge: SortTerm
  readonly node: ArmOrder
  readonly rankBy: string | undefined
  readonly isText: boolean
}

interface Wanted {
  readonly alias: string
  readonly column: ColumnMetadata
  readonly descending: boolean
  readonly nullsFirst: boolean
}

/**
 * Reads the builder's ORDER BY and adds hidden columns `__k0 …` that carry what is compared here, and `__o0 …` where a
 * node has to compare something else. With `total`, the primary key ends the order, so that pages cut ties alike.
 *
 * @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS
 */
export function addHiddenOrder<Entity extends ObjectLiteral>(
  builder: ArmQueryBuilder<Entity>,
  { facts, total }: { facts: readonly NodeFacts[]; total: boolean },
): readonly OrderTerm[] {
  const wanted = wantedOrder(builder)
  if (total && wanted.length > 0) wanted.push(...tiebreak(builder, wanted, facts))
  const terms = wanted.map((one, index) => {
    const expression = `${builder.escape(one.alias)}.${builder.escape(one.column.databaseName)}`
    const sort = sortColumn(one.column, expression, facts)
    if (sort.isByDefaultCollation) checkCollations(one.column, facts)
    builder.addSelect(sort.comparable, `__k${index}`)
    if (sort.nodeOrder) builder.addSelect(sort.nodeOrder, `__o${index}`)
    return term(one, sort, index)
  })
  // DISTINCT asks for ORDER BY over selected columns: over the hidden ones then.
  if (builder.expressionMap.selectDistinct) orderByHidden(builder, terms)
  return terms
}

function wantedOrder<Entity extends ObjectLiteral>(builder: ArmQueryBuilder<Entity>): Wanted[] {
  return Object.entries(builder.expressionMap.allOrderBys).map(([path, value]) => {
    const dot = path.indexOf('.')
    const aliasName = path.slice(0, dot)
    const alias = builder.expressionMap.aliases.find((one) => one.name === aliasName && one.hasMetadata)
    const column = alias?.metadata.findColumnWithPropertyPath(path.slice(dot + 1))
    if (!alias || !column || column.isVirtualProperty || isToMany(builder, aliasName)) {
      throw new ShardedError('ORDER_UNSUPPORTED', `Order by ${path} cannot be merged over shards.`, {
        details: { order: path },
      })
    }
    const direction = typeof value === 'string' ? value : value.order
    const nulls = typeof value === 'string' ? undefined : value.nulls
    const descending = direction === 'DESC'
    return {
      alias: alias.name,
      column,
      descending,
      nullsFirst: nulls === undefined ? descending : nulls === 'NULLS FIRST',
    }
  })
}

/** True where the alias, or one that it hangs on, joins several rows to one: the order then is of pairs, not of entities. */
function isToMany<Entity extends ObjectLiteral>(builder: ArmQueryBuilder<Entity>, aliasName: string): boolean {
  const join = builder.expressionMap.joinAttributes.find((one) => one.alias.name === aliasName)
  if (!join) return false
  if (!join.relation || join.relation.isOneToMany || join.relation.isManyToMany) return true
  return join.parentAlias !== undefined && isToMany(builder, join.parentAlias)
}

/** The primary key's columns that the order does not name yet; none where ranking them would cost a query more. */
function tiebreak<Entity extends ObjectLiteral>(
  builder: ArmQueryBuilder<Entity>,
  wanted: readonly Wanted[],
  facts: readonly NodeFacts[],
): Wanted[] {
  const main = builder.expressionMap.mainAlias
  if (!main) return []
  const missing = main.metadata.primaryColumns.filter(
    (column) => !wanted.some((one) => one.column === column && one.alias === main.name),
  )
  if (missing.some((column) => sortColumn(column, '', facts).kind === 'ranked')) return []
  for (const column of missing) builder.addOrderBy(`${main.name}.${column.propertyPath}`, 'ASC')
  return missing.map((column) => ({ alias: main.name, column, descending: false, nullsFirst: false }))
}

function term({ column, descending, nullsFirst }: Wanted, sort: SortColumn, index: number): OrderTerm {
  return {
    merge: { column: `__k${index}`, kind: sort.kind, descending, nullsFirst },
    node: { column: sort.nodeOrder ? `__o${index}` : `__k${index}`, descending, nullsFirst },
    rankBy: sort.rankBy ?? (sort.kind === 'codepoints' && column.type !== 'uuid' ? rankByDefault(column) : undefined),
    isText: sort.kind === 'codepoints' || sort.kind === 'ranked',
  }
}

const rankByDefault = (column: ColumnMetadata): string =>
  column.collation === undefined ? 'v' : `v COLLATE "${column.collation}"`

function orderByHidden<Entity extends ObjectLiteral>(
  builder: ArmQueryBuilder<Entity>,
  terms: readonly OrderTerm[],
): void {
  builder.orderBy()
  for (const { node } of terms)
    builder.addOrderBy(node.column, node.descending ? 'DESC' : 'ASC', node.nullsFirst ? 'NULLS FIRST' : 'NULLS LAST')
}

function checkCollations(column: ColumnMetadata, facts: readonly NodeFacts[]): void {
  const collations = [...new Set(facts.map((node) => node.collation))]
  if (collations.length <= 1) return
  throw new ShardedError(
    'COLLATION_DIFFERS',
    `${column.entityMetadata.name}.${column.propertyPath} sorts differently on the nodes asked: ${collations.join(' and ')}.`,
    {
      details: { entity: column.entityMetadata.name, column: column.propertyPath, collations },
    },
  )
}
