import type { EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { isPlain } from './find-predicate'

type Select = FindManyOptions<ObjectLiteral>['select']

/** A select with the primary key in it, and how to take from an entity the parts of the key that were not asked for. */
export interface KeysSelected {
  readonly select: Select
  /** @returns false where TypeORM would have made no entity: all that was asked for is null */
  readonly strip: (entity: ObjectLiteral) => boolean
}

/** Rows are told apart by their keys, so that they are needed even where the caller does not ask for them. */
export function selectKeys(metadata: EntityMetadata, select: Select): KeysSelected {
  const { primaryColumns } = metadata
  if (!isPlain(select) || !selectsColumns(metadata, select)) return { select, strip: () => true }
  const missing = primaryColumns.map((column) => column.propertyPath.split('.')).filter((path) => !isIn(select, path))
  return {
    select: missing.reduce<ObjectLiteral>(withPath, select),
    strip: (entity) => {
      for (const path of missing) without(entity, path)
      return missing.length === 0 || hasData(metadata, entity)
    },
  }
}

/** False where all that is selected is of relations, or nothing: then TypeORM selects all columns of the entity itself. */
function selectsColumns(metadata: EntityMetadata, select: ObjectLiteral, prefix = ''): boolean {
  return Object.entries(select).some(([name, value]) => {
    if (!value) return false
    const path = prefix + name
    if (metadata.findColumnWithPropertyPathStrict(path)) return true
    return metadata.findEmbeddedWithPropertyPath(path) && isPlain(value) && selectsColumns(metadata, value, `${path}.`)
  })
}

function isIn(select: unknown, [name = '', ...rest]: readonly string[]): boolean {
  if (!isPlain(select)) return false
  return rest.length === 0 ? select[name] === true : isIn(select[name], rest)
}

function withPath(select: ObjectLiteral, [name = '', ...rest]: readonly string[]): ObjectLiteral {
  const inner: unknown = select[name]
  return { ...select, [name]: rest.length === 0 ? true : withPath(isPlain(inner) ? inner : {}, rest) }
}

/** To TypeORM, the columns of the entity itself decide, whatever relations were loaded. */
const hasData = ({ columns }: EntityMetadata, entity: ObjectLiteral): boolean =>
  columns.some(
    ({ isVirtual, isVirtualProperty, propertyPath }) =>
      !isVirtual && !isVirtualProperty && (valueAt(entity, propertyPath.split('.')) ?? null) !== null,
  )

const valueAt = (object: unknown, [name = '', ...rest]: readonly string[]): unknown => {
  const value = isPlain(object) ? object[name] : undefined
  return rest.length === 0 ? value : valueAt(value, rest)
}

/** An embedded object that has nothing else left goes too. */
function without(object: ObjectLiteral, [name = '', ...rest]: readonly string[]): void {
  const inner: unknown = object[name]
  if (rest.length > 0 && isPlain(inner)) {
    without(inner, rest)
    if (Object.keys(inner).length > 0) return
  }
  delete object[name]
}
