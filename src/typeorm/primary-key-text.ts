import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { canonicalKey, canonicalTuple } from '../functions/canonical-key'
import { keyTypeOf } from './describe-entities'

/** A text that is the same for the same primary key, whatever form its values have in the object. */
export function primaryKeyText(metadata: EntityMetadata, object: ObjectLiteral): string {
  const parts = metadata.primaryColumns.map((column) => {
    const raw: unknown = column.getEntityValue(object)
    if (raw === undefined || raw === null) return ''
    const value: unknown = metadata.dataSource.driver.preparePersistentValue(raw, column)
    const type = keyTypeOf(column)
    try {
      return (type && canonicalKey(value, type)) ?? String(value)
    } catch {
      return String(value)
    }
  })
  return canonicalTuple(parts)
}
