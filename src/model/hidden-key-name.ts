const prefix = '__shardKey_'

/** The property by which TypeORM's statements have a column that `@ShardKey({ from })` adds; no object has one of this name. */
export const hiddenKeyProperty = (columnName: string): string => `${prefix}${columnName}`

/** What a message calls a column: a hidden one has no property that an application knows. */
export const shownName = (propertyPath: string): string =>
  propertyPath.startsWith(prefix) ? propertyPath.slice(prefix.length) : propertyPath
