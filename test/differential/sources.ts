import type { ColumnSpec, EntitySpec } from './columns'

/** A table in a statement, and how its columns are written there. */
export interface Source {
  readonly spec: EntitySpec
  readonly alias: string
  readonly ref: (column: ColumnSpec) => string
}

/** In the strings of a query builder, columns are written by their properties. */
export const builderSource = (spec: EntitySpec, alias: string): Source => ({
  spec,
  alias,
  ref: ({ path }) => `${alias}.${path}`,
})

/** In SQL, columns are written by their names. */
export const sqlSource = (spec: EntitySpec, alias: string): Source => ({
  spec,
  alias,
  ref: ({ path }) => `"${alias}"."${columnName(path)}"`,
})

/** The name that TypeORM gives the column of a property; that of an embedded one holds the path to it. */
export const columnName = (path: string): string =>
  path.replaceAll(/\.(\w)/g, (_, letter: string) => letter.toUpperCase())

export const tableName = ({ name }: EntitySpec): string => `"${name.toLowerCase()}"`
