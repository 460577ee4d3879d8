import {
  type DataSource,
  InsertQueryBuilder,
  type InsertResult,
  type ObjectLiteral,
  SelectQueryBuilder,
  UpdateQueryBuilder,
  type UpdateResult,
} from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { type ColumnArray, columnArrays, insertBatches } from './column-arrays'
import { keepingIn, settingOf } from './guarded-broadcaster'
import { makeIds } from './make-ids'
import { mergeInsertResults } from './merge-insert-results'
import { ObjectSnapshots } from './object-snapshots'
import type { ShardSource } from './shard-query-runner'

/**
 * TypeORM's insert, which calls its table by its name in the condition of an upsert. TypeORM calls it by its path, as one
 * name: for a table with a schema, as each sharded one has it, there is none of that name.
 */
export class TableInsertQueryBuilder<Entity extends ObjectLiteral> extends InsertQueryBuilder<Entity> {
  override orUpdate(...given: Parameters<InsertQueryBuilder<Entity>['orUpdate']>): this {
    const { mainAlias } = this.expressionMap
    const isNamed = given[2]?.overwriteCondition?.where !== undefined
    if (isNamed && mainAlias?.hasMetadata && mainAlias.name === mainAlias.metadata.tablePath)
      mainAlias.name = mainAlias.metadata.tableName
    return super.orUpdate(...given)
  }
}

/**
 * TypeORM's insert of several rows with one array parameter a column in place of one parameter a cell: the text is short,
 * the same for any number of rows, and so prepared; nothing is bound by the protocol's 65,535 parameters. Everything else
 * (RETURNING, ON CONFLICT, events, what is filled into the entities) is TypeORM's.
 */
class ArrayInsertQueryBuilder<Entity extends ObjectLiteral> extends TableInsertQueryBuilder<Entity> {
  private arrays: readonly ColumnArray[] | undefined

  /** Rows beyond the bounds of a statement go in several, in one transaction: they are written all or not at all. */
  override async execute(): Promise<InsertResult> {
    const { expressionMap: map } = this
    const given = this.getValueSets()
    await this.makeIds(given)
    const batches = insertBatches(given, super.getInsertedColumns())
    if (batches.length < 2) return super.execute()
    const own = this.queryRunner
    const runner = this.obtainQueryRunner()
    const opened = !runner.isTransactionActive
    this.queryRunner = runner
    const snapshots = new ObjectSnapshots()
    try {
      if (opened) await runner.startTransaction()
      const parts: { readonly places: readonly number[]; readonly result: InsertResult }[] = []
      let place = 0
      for (const rows of batches) {
        map.valuesSet = [...rows]
        const work = () => super.execute()
        parts.push({ places: rows.map(() => place++), result: await keepingIn(runner, snapshots, work) })
      }
      if (opened) await runner.commitTransaction()
      return mergeInsertResults(parts)
    } catch (error) {
      snapshots.restore()
      // As TypeORM does: what went wrong first is what the caller has to know.
      if (opened && runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined)
      throw error
    } finally {
      map.valuesSet = given
      Object.assign(this, { queryRunner: own })
      if (runner !== own) await runner.release()
    }
  }

  private async makeIds(rows: readonly ObjectLiteral[]): Promise<void> {
    const { mainAlias, insertFromSelect } = this.expressionMap
    if (insertFromSelect || !mainAlias?.hasMetadata || !isBound(this.dataSource)) return
    const binding = this.dataSource.template.bindingOf(mainAlias.metadata.target)
    if (binding) await makeIds(binding, rows)
  }

  protected override createInsertExpression(): string {
    const { expressionMap: map } = this
    const metadata = map.mainAlias?.hasMetadata && !map.insertFromSelect ? map.mainAlias.metadata : undefined
    const arrays = metadata && columnArrays(this.getValueSets(), super.getInsertedColumns(), metadata)
    if (!arrays) return super.createInsertExpression()
    this.arrays = arrays
    // In place of VALUES TypeORM writes what this gives, and it asks it for nothing else.
    map.insertFromSelect = { getQuery: () => this.selectOf(arrays) } as SelectQueryBuilder<ObjectLiteral>
    try {
      return super.createInsertExpression()
    } finally {
      this.arrays = undefined
      Object.assign(map, { insertFromSelect: undefined })
    }
  }

  protected override getInsertedColumns(): ColumnMetadata[] {
    return this.arrays?.map(({ column }) => column) ?? super.getInsertedColumns()
  }

  private selectOf(arrays: readonly ColumnArray[]): string {
    const parameters = arrays.map(({ column, list }) => this.parameterOf(column, this.createParameter(list)))
    const names = arrays.map((_, index) => `c${index}`)
    return `SELECT ${names.join(', ')} FROM unnest(${parameters.join(', ')}) WITH ORDINALITY AS "given"(${names.join(', ')}, place) ORDER BY place`
  }

  /**
   * A parameter has the type of an array of the table's own column, whatever that is in the database: an enum of the
   * shard's schema, a domain, a type of an extension. Without a length: that is checked as the value is stored.
   */
  private parameterOf({ databaseName }: ColumnMetadata, parameter: string): string {
    const table = this.getTableName(this.getMainTableName())
    return `coalesce(${parameter}, ARRAY[(CAST(NULL AS ${table})).${this.escape(databaseName)}])`
  }
}

/** TypeORM's update, with a last look at the shard key: of rows that it takes off a relation no event says what becomes of them. */
class GuardedUpdateQueryBuilder<Entity extends ObjectLiteral> extends UpdateQueryBuilder<Entity> {
  private criteria: unknown

  override where(...[where, parameters]: Parameters<UpdateQueryBuilder<Entity>['where']>): this {
    this.criteria = where
    return super.where(where, parameters)
  }

  override async execute(): Promise<UpdateResult> {
    const { mainAlias } = this.expressionMap
    const before = settingOf(this.queryRunner)?.beforeUpdate
    if (before && mainAlias?.hasMetadata)
      await before({ metadata: mainAlias.metadata, criteria: this.criteria, values: this.getValueSet() })
    return super.execute()
  }

  protected override createUpdateExpression(): string {
    const { mainAlias } = this.expressionMap
    if (mainAlias?.hasMetadata && isBound(this.dataSource)) {
      const { metadata } = mainAlias
      const { template, shard } = this.dataSource
      const given = this.getValueSet()
      if (template.guard.maySetKey(metadata, given)) {
        const values = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
        const columns = this.createPropertyPath(metadata, values).flatMap((path) =>
          metadata.findColumnsWithPropertyPath(path),
        )
        template.guard.checkSet(shard, metadata, { values, columns })
      }
    }
    return super.createUpdateExpression()
  }
}

const isBound = (dataSource: DataSource): dataSource is ShardSource => 'template' in dataSource

/** The builder of a shard's statements that belong to no entity yet, as TypeORM makes one for every insert. */
export class ShardQueryBuilder extends SelectQueryBuilder<ObjectLiteral> {
  override insert(): InsertQueryBuilder<ObjectLiteral> {
    return new ArrayInsertQueryBuilder<ObjectLiteral>(super.insert())
  }

  override update(...given: never[]): UpdateQueryBuilder<never> {
    // TypeORM's overloads, of which an override takes all.
    return new GuardedUpdateQueryBuilder<never>(super.update(...(given as [never, never])))
  }
}
