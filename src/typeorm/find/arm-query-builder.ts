import {
  type DataSource,
  type EntityMetadata,
  type FindManyOptions,
  type ObjectLiteral,
  type QueryRunner,
  SelectQueryBuilder,
} from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { JoinAttribute } from 'typeorm/query-builder/JoinAttribute'
import type { SelectQuery } from 'typeorm/query-builder/SelectQuery'
import type { WrittenPage } from '../../query/page'
import { cloneWhere } from './clone-where'

/** A statement as TypeORM makes it: with the placeholder schema. */
export interface TemplateStatement {
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** Builds the statements of a scatter: TypeORM's own SQL for the find options, with what a merge needs besides. */
export class ArmQueryBuilder<Entity extends ObjectLiteral> extends SelectQueryBuilder<Entity> {
  /** The statement goes to the shards by the engine, which casts enums itself, and orders by their positions where this names them. */
  keepsEnums = false

  /** TypeORM applies find options to the builder at once; `where` is copied, since it changes operators. */
  static find<Entity extends ObjectLiteral>(
    dataSource: DataSource,
    metadata: EntityMetadata,
    options: FindManyOptions<Entity>,
  ): ArmQueryBuilder<Entity> {
    const builder = new ArmQueryBuilder<Entity>(dataSource)
    builder.select(metadata.name).from(metadata.target, metadata.name)
    return builder.setFindOptions(
      options.where === undefined ? options : { ...options, where: cloneWhere(metadata, options.where) },
    )
  }

  /** Rows are not entities one to one, or need further queries: they are loaded again by their keys, shard by shard. */
  get needsReload(): boolean {
    const { relationIdAttributes, mainAlias } = this.expressionMap
    if (this.isJoined || this.relationMetadatas.length > 0 || relationIdAttributes.length > 0) return true
    // Those of `@RelationId` become attributes when TypeORM runs the find itself.
    return mainAlias !== undefined && mainAlias.metadata.relationIds.length > 0
  }

  get isJoined(): boolean {
    return this.expressionMap.joinAttributes.length > 0
  }

  /** OFFSET and LIMIT as TypeORM writes them: in a joined find it writes none where both are 0; otherwise LIMIT 0 is a page of nothing. */
  get writtenPage(): WrittenPage {
    const { skip, take } = this.expressionMap
    return this.isJoined && !skip && !take ? {} : { skip: skip ?? undefined, take: take ?? undefined }
  }

  /** The joins by which a row of an alias is reached, the nearest first; none for the entity's own. */
  joinsTo(aliasName: string): readonly JoinAttribute[] {
    const join = this.expressionMap.joinAttributes.find((one) => one.alias.name === aliasName)
    return join ? [join, ...(join.parentAlias === undefined ? [] : this.joinsTo(join.parentAlias))] : []
  }

  /** A row may come several times: by a join that is not to the one row of a primary key. */
  get isMultiplied(): boolean {
    return this.expressionMap.joinAttributes.some(({ relation }) => !relation || !isToOneRow(relation))
  }

  /**
   * Drops the outer joins that neither the conditions nor the order nor another join name: they only bring columns, or the
   * same row several times. For statements that give primary keys.
   */
  dropIdleJoins(): void {
    const { expressionMap } = this
    const named = JSON.stringify([expressionMap.wheres, Object.keys(expressionMap.orderBys)])
    const kept: typeof expressionMap.joinAttributes = []
    // From the last: a join comes after the one that it hangs on.
    for (const join of [...expressionMap.joinAttributes].reverse()) {
      const { name } = join.alias
      const isIdle =
        join.direction === 'LEFT' && !named.includes(name) && kept.every(({ parentAlias }) => parentAlias !== name)
      if (!isIdle) kept.unshift(join)
    }
    expressionMap.joinAttributes = kept
  }

  /** Adds conditions to those of the find options, whose branches TypeORM leaves without brackets around them. */
  andAlso(conditions: readonly string[], parameters: ObjectLiteral): this {
    this.expressionMap.wheres = this.expressionMap.wheres.map((where) =>
      typeof where.condition === 'string' ? { ...where, condition: `(${where.condition})` } : where,
    )
    for (const condition of conditions) this.andWhere(condition)
    return this.setParameters(parameters)
  }

  statement(): TemplateStatement {
    const [text, parameters] = this.getQueryAndParameters()
    return { text, parameters: Array.isArray(parameters) ? parameters : [] }
  }

  /** A column in SQL, qualified and quoted. */
  sqlOf({ databaseName }: ColumnMetadata, aliasName: string = this.alias): string {
    return `${this.escape(aliasName)}.${this.escape(databaseName)}`
  }

  /** The name of the output column in which a column of an entity stands as it is; undefined where it is not selected. */
  outputOf(aliasName: string, metadata: EntityMetadata, expression: string): string | undefined {
    const selects = this.buildEscapedEntityColumnSelects(aliasName, metadata)
    return selects.find((select) => select.selection === expression)?.aliasName
  }

  /** The statement that TypeORM would count with. */
  countStatement(): Promise<TemplateStatement> {
    return capture((runner) => this.executeCountQuery(runner))
  }

  /** The statement that TypeORM would ask for existence with. */
  existsStatement(): Promise<TemplateStatement> {
    return capture((runner) => this.executeExistsQuery(runner))
  }

  /**
   * Enum types are each shard's own: as text, columns of several shards fit one UNION. The driver gives text either way.
   */
  protected override buildEscapedEntityColumnSelects(aliasName: string, metadata: EntityMetadata): SelectQuery[] {
    const enums = new Set(
      metadata.columns
        .filter((column) => column.type === 'enum' || column.type === 'simple-enum')
        .map((column) => this.sqlOf(column, aliasName)),
    )
    const selects = super.buildEscapedEntityColumnSelects(aliasName, metadata)
    if (enums.size === 0 || this.keepsEnums) return selects
    return selects.map((select) =>
      enums.has(select.selection) ? { ...select, selection: `${select.selection}::text` } : select,
    )
  }
}

const isToOneRow = ({ isManyToOne, isOneToOneOwner, joinColumns, inverseEntityMetadata }: RelationMetadata): boolean =>
  (isManyToOne || isOneToOneOwner) &&
  inverseEntityMetadata.primaryColumns.every((key) => joinColumns.some((column) => column.referencedColumn === key))

/** Runs a builder's terminal against a runner that only notes the statement. */
async function capture(run: (runner: QueryRunner) => Promise<unknown>): Promise<TemplateStatement> {
  let captured: TemplateStatement | undefined
  const recorder = {
    query: async (text: string, parameters?: unknown[]) => {
      captured = { text, parameters: parameters ?? [] }
      return { records: [] }
    },
  }
  // Nothing else of a query runner is asked for where no cache is.
  await run(recorder as unknown as QueryRunner)
  if (!captured) throw new Error('TypeORM made no statement.')
  return captured
}
