import type { ObjectLiteral } from 'typeorm'
import type { EntityBinding } from '../binding/entity-binding'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { countableColumn } from './countable-column'

type Builder = ArmQueryBuilder<ObjectLiteral>

/** Leaves the primary keys of what is selected, each once: TypeORM makes entities of them that have nothing else. */
export function selectKeysOnly(builder: Builder, { metadata }: Pick<EntityBinding, 'metadata'>): void {
  builder.select(metadata.primaryColumns.map((column) => `${builder.alias}.${column.propertyPath}`))
  builder.distinct(builder.isMultiplied)
}

/** Adds the texts `__p0 …` of the primary key, by which rows are fetched and recognised. */
export function addKeyTexts(builder: Builder, { metadata }: EntityBinding): void {
  for (const [index, column] of metadata.primaryColumns.entries()) {
    const raw = `${builder.escape(builder.alias)}.${builder.escape(column.databaseName)}`
    const known = countableColumn(column, raw)
    builder.addSelect(typeof known === 'string' ? `${raw}::text` : known.text, `__p${index}`)
  }
}
