import type { EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { isPlain } from './find-predicate'

type Select = FindManyOptions<ObjectLiteral>['select']

/** A select with the primary key in it, and how to take from an entity the parts of the key that were not asked for. */
export interface KeysSelected {
  readonly select: Select
  readonly strip: (entity: ObjectLiteral) => void
}

/** Rows are told apart by their keys, so that a page needs them even where the caller does not. */
export function selectKeys({ primaryColumns }: EntityMetadata, select: Select): KeysSelected {
  if (!isPlain(select)) return { select, strip: () => undefined }
  const missing = primaryColumns.map((column) => column.propertyPath.split('.')).filter((path) => !isIn(select, path))
  return {
    select: missing.reduce<ObjectLiteral>(withPath, select),
    strip: (entity) => {
      for (const path of missing) without(entity, path)
    },
  }
}

function isIn(select: unknown, [name = '', ...rest]: readonly string[]): boolean {
  if (!isPlain(select)) return false
  return rest.length === 0 ? select[name] === true : isIn(select[name], rest)
}

function withPath(select: ObjectLiteral, [name = '', ...rest]: readonly string[]): ObjectLiteral {
  const inner: unknown = select[name]
  return { ...select, [name]: rest.length === 0 ? true : withPath(isPlain(inner) ? inner : {}, rest) }
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
