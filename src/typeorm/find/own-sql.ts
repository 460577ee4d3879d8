import { type EntityMetadata, FindOperator } from 'typeorm'
import { readsTables } from '../../sql/reads-tables'
import { isPlain } from './find-predicate'

/** True where a `Raw` in a condition may read a table. */
export function conditionReadsTables(where: unknown): boolean {
  if (where instanceof FindOperator) {
    if (where.type === 'raw') return readsTables(where.getSql ? where.getSql('column') : String(where.value))
    return (
      conditionReadsTables(where.child) ||
      (Array.isArray(where.value) && where.value.some((one: unknown) => conditionReadsTables(one)))
    )
  }
  if (Array.isArray(where)) return where.some((branch) => conditionReadsTables(branch))
  return isPlain(where) && Object.values(where).some((value) => conditionReadsTables(value))
}

/** True where a value that is written is SQL of the application, given as a function, that may read a table. */
export function valuesReadTables(values: unknown): boolean {
  if (typeof values === 'function') {
    const sql: unknown = Reflect.apply(values, undefined, [])
    return typeof sql === 'string' && readsTables(sql)
  }
  if (Array.isArray(values)) return values.some((one) => valuesReadTables(one))
  return isPlain(values) && Object.values(values).some((value) => valuesReadTables(value))
}

/** True where an entity has a column whose values a query over tables computes. */
export const hasComputedColumn = ({ columns, name }: EntityMetadata): boolean =>
  columns.some(({ isVirtualProperty, query }) => isVirtualProperty && query !== undefined && readsTables(query(name)))

interface LoadedParts {
  readonly relations?: unknown
  readonly loadEagerRelations?: boolean | undefined
}

/** True where an entity, or one that is loaded with it, has such a column. */
export function loadsComputedColumn(metadata: EntityMetadata, { relations, loadEagerRelations }: LoadedParts): boolean {
  if (hasComputedColumn(metadata)) return true
  if (metadata.relations.length === 0) return false
  return (
    loadsByRelations(metadata, relations, '') || (loadEagerRelations !== false && loadsEagerly(metadata, new Set()))
  )
}

function loadsByRelations(metadata: EntityMetadata, relations: unknown, prefix: string): boolean {
  if (!isPlain(relations)) return false
  return Object.entries(relations).some(([name, value]) => {
    if (!value) return false
    const path = prefix + name
    const relation = metadata.findRelationWithPropertyPath(path)
    if (!relation) return loadsByRelations(metadata, value, `${path}.`)
    const { inverseEntityMetadata: inverse } = relation
    return hasComputedColumn(inverse) || loadsByRelations(inverse, value, '')
  })
}

function loadsEagerly(metadata: EntityMetadata, seen: Set<EntityMetadata>): boolean {
  if (seen.has(metadata)) return false
  seen.add(metadata)
  return metadata.eagerRelations.some(
    ({ inverseEntityMetadata: inverse }) => hasComputedColumn(inverse) || loadsEagerly(inverse, seen),
  )
}
