import { InsertQueryBuilder, type ObjectLiteral } from 'typeorm'

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
