import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import type { CursorScope, Position } from '../../merging/cursor'
import type { Row } from '../../merging/row'
import { type KeysetTerm, keysetCondition } from '../../planning/keyset-condition'
import { typeName } from '../binding/describe-entities'
import { type PositionColumn, positionColumn } from '../binding/position-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { missingKeys, type SortedColumn, wantedOrder } from './find-order'

type Builder = ArmQueryBuilder<ObjectLiteral>

interface Term extends SortedColumn {
  readonly position: PositionColumn
  readonly expression: string
  readonly nullable: boolean
}

/**
 * The total order of a find, as the database is to have it for one page: what the find asks for, then the primary key in
 * the last term's direction, all turned round for a page that ends before a cursor.
 */
export class Keyset {
  private constructor(
    private readonly terms: readonly Term[],
    /** What the cursors of this order are good for; the same for both ways of paging. */
    readonly scope: CursorScope,
    private readonly backwards: boolean,
  ) {}

  /** @throws ShardedError ORDER_UNSUPPORTED for an order by virtual columns or to-many relations */
  static of(builder: Builder, { backwards }: { backwards: boolean }): Keyset {
    const terms = totalOrder(builder).map((one): Term => {
      const expression = builder.sqlOf(one.column, one.alias)
      return {
        ...one,
        expression,
        position: positionColumn(one.column, expression),
        nullable: isNullable(builder, one),
      }
    })
    return new Keyset(terms, scopeOf(builder, terms), backwards)
  }

  /** Orders the builder and starts it after (or, backwards, before) the position; joins that neither needs go. */
  place(builder: Builder, position: Position | undefined): void {
    const terms = this.ordered
    builder.orderBy()
    for (const term of terms) builder.addOrderBy(`${term.alias}.${term.column.propertyPath}`, ...directionOf(term))
    if (position) this.startAt(builder, terms, position)
    builder.dropIdleJoins()
  }

  private startAt(builder: Builder, terms: readonly Term[], position: Position): void {
    const keyset = terms.map((term, index): KeysetTerm => {
      const { expression, descending, nullsFirst, nullable } = term
      const value = term.position.value(`:${parameterName(index)}`)
      return { expression, descending, nullsFirst, nullable, value, isNull: position[index] === null }
    })
    const given = position.map((value, index) => [parameterName(index), value] as const)
    builder.andWhere(`(${keysetCondition(keyset)})`, Object.fromEntries(given.filter(([, value]) => value !== null)))
  }

  /** Adds hidden columns that carry the position of each row. */
  select(builder: Builder): void {
    for (const [index, { position }] of this.terms.entries()) builder.addSelect(position.text, columnName(index))
  }

  /** @throws ShardedError ORDER_UNSUPPORTED where the session does not write a float wholly */
  positionOf(row: Row): Position {
    return Object.freeze(this.terms.map((term, index) => textOf(term, row[columnName(index)] ?? null)))
  }

  /**
   * Orders a statement of one database by the columns themselves: by its property path TypeORM would order by a selected
   * column's output name, which is text where the column is an enum. DISTINCT asks for ORDER BY over selected columns:
   * hidden ones then carry the order.
   */
  finishOrder(builder: Builder): void {
    const isDistinct = builder.expressionMap.selectDistinct
    builder.orderBy()
    for (const [index, term] of this.ordered.entries()) {
      if (isDistinct) builder.addSelect(term.expression, `__k${index}`)
      builder.addOrderBy(isDistinct ? `__k${index}` : term.expression, ...directionOf(term))
    }
  }

  /** The terms as the database is to sort by them. */
  private get ordered(): readonly Term[] {
    return this.backwards ? this.terms.map(reversed) : this.terms
  }
}

/** The direction and, where they are not PostgreSQL's own for it, the place of the NULLs. */
function directionOf({
  descending,
  nullsFirst,
}: SortedColumn): [order: 'ASC' | 'DESC', nulls?: 'NULLS FIRST' | 'NULLS LAST'] {
  const order = descending ? 'DESC' : 'ASC'
  return nullsFirst === descending ? [order] : [order, nullsFirst ? 'NULLS FIRST' : 'NULLS LAST']
}

function textOf({ alias, column, position }: Term, value: unknown): string | null {
  if (value === null) return null
  const text = String(value)
  if (text !== position.inexact) return text
  const order = `${alias}.${column.propertyPath}`
  throw new ShardedError(
    'ORDER_UNSUPPORTED',
    `Order by ${order} meets a float that the session writes with fewer digits than it has: extra_float_digits is below 1.`,
    { details: { order } },
  )
}

const parameterName = (index: number): string => `keyset_${index}`
const columnName = (index: number): string => `__c${index}`

const reversed = (term: Term): Term => ({ ...term, descending: !term.descending, nullsFirst: !term.nullsFirst })

/** Without the primary key at its end an order has ties, and a position would be several places. */
function totalOrder(builder: Builder): readonly SortedColumn[] {
  const wanted = wantedOrder(builder)
  const main = builder.expressionMap.mainAlias
  if (!main || main.metadata.primaryColumns.length === 0)
    throw new ShardedError(
      'ORDER_UNSUPPORTED',
      `${builder.alias} has no primary key that would make its order total.`,
      {
        details: { entity: builder.alias },
      },
    )
  const descending = wanted.at(-1)?.descending ?? false
  return [...wanted, ...missingKeys(builder, wanted).map((key) => ({ ...key, descending, nullsFirst: descending }))]
}

function scopeOf(builder: Builder, terms: readonly Term[]): CursorScope {
  const { name = '', tableName = '' } = builder.expressionMap.mainAlias?.metadata ?? {}
  const text = terms.map(({ alias, column, descending, nullsFirst }) => [
    alias,
    column.propertyPath,
    typeName(column),
    column.isArray,
    column.collation ?? '',
    descending,
    nullsFirst,
  ])
  return Object.freeze({ entity: name, text: JSON.stringify([tableName, text]) })
}

/** Whether the value may be NULL in a row of the result: by the column, or by a join that may find nothing. */
function isNullable(builder: Builder, { alias, column }: SortedColumn): boolean {
  return (
    column.isNullable || isOfChildTable(column) || builder.joinsTo(alias).some(({ direction }) => direction === 'LEFT')
  )
}

/** Columns of one kind of a table that holds several are NULL in the rows of the others. */
const isOfChildTable = (column: ColumnMetadata): boolean =>
  !column.isPrimary &&
  (column.entityMetadata.tableType === 'entity-child' || column.entityMetadata.childEntityMetadatas.length > 0)
