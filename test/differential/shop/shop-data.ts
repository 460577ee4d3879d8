import type { DataSource, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { Rng } from '../rng'
import type { Json, JsonObject } from './operation'

/** What the generator knows of the shop: its entities, and the values that their rows have. */
export class ShopData {
  private constructor(
    readonly entities: readonly EntityMetadata[],
    private readonly rows: ReadonlyMap<string, readonly ObjectLiteral[]>,
  ) {}

  static async of(dataSource: DataSource): Promise<ShopData> {
    const rows = new Map<string, readonly ObjectLiteral[]>()
    for (const { name, target, primaryColumns } of dataSource.entityMetadatas) {
      if (dataSource.getMetadata(target).isJunction) continue
      const order = Object.fromEntries(primaryColumns.map(({ propertyPath }) => [propertyPath, 'ASC'] as const))
      const repository = dataSource.getRepository<ObjectLiteral>(target)
      rows.set(name, await repository.find({ order, withDeleted: true, loadEagerRelations: false }))
    }
    return new ShopData(
      dataSource.entityMetadatas.filter(({ isJunction }) => !isJunction),
      rows,
    )
  }

  metadata(name: string): EntityMetadata {
    const found = this.entities.find((one) => one.name === name)
    if (!found) throw new Error(`There is no entity ${name}.`)
    return found
  }

  /** The key of a row that is there; sometimes of none. @param fixed columns that are to have these values */
  keyOf(metadata: EntityMetadata, rng: Rng, fixed: JsonObject = {}): JsonObject {
    const all = this.rows.get(metadata.name) ?? []
    const fitting = all.filter((row) =>
      metadata.columns.every(
        (column) => !(column.propertyPath in fixed) || column.getEntityValue(row) === fixed[column.propertyPath],
      ),
    )
    const row = rng.pick(fitting.length > 0 ? fitting : all)
    return keyOfRow(metadata, row)
  }

  /** A value of a column: mostly one that a row has. */
  valueOf(column: ColumnMetadata, rng: Rng): Json {
    const rows = this.rows.get(column.entityMetadata.name) ?? []
    const value: unknown = rows.length > 0 ? column.getEntityValue(rng.pick(rows)) : undefined
    return value === undefined ? freshValue(column, rng) : encoded(value)
  }
}

export const keyOfRow = (metadata: EntityMetadata, row: ObjectLiteral): JsonObject =>
  Object.fromEntries(
    metadata.primaryColumns.map((column) => [column.propertyPath, encoded(column.getEntityValue(row))]),
  )

function encoded(value: unknown): Json {
  if (value === null || value === undefined) return null
  if (value instanceof Date) return { $date: value.toISOString() }
  // Rows have no other values here.
  return typeof value === 'object' ? (JSON.parse(JSON.stringify(value)) as Json) : (value as Json)
}

export const typeOf = ({ type }: Pick<ColumnMetadata, 'type'>): string =>
  typeof type === 'function' ? (type === Date ? 'timestamptz' : type.name.toLowerCase()) : type

/** A new value, of few: what is unique then sometimes meets a row that is there. */
export function freshValue(column: ColumnMetadata, rng: Rng): Json {
  if (column.enum) return rng.pick(column.enum.map(String))
  switch (typeOf(column)) {
    case 'int':
    case 'number':
      return rng.int(40)
    case 'numeric':
      return column.transformer ? rng.int(90) : `${rng.int(90)}.${column.scale === 1 ? 5 : 50}`
    case 'boolean':
      return rng.oneIn(2)
    case 'jsonb':
      return { colour: rng.pick(['red', 'blue']) }
    case 'date':
      return '1990-01-02'
    case 'timestamptz':
    case 'timestamp':
      return { $date: new Date(Date.UTC(2026, rng.int(6), 1 + rng.int(28))).toISOString() }
    case 'uuid':
      return `70000000-0000-4000-8000-${String(rng.int(1_000)).padStart(12, '0')}`
    default:
      return column.length
        ? String(rng.int(90)).padStart(Number(column.length), 'X').slice(0, Number(column.length))
        : `word ${rng.int(20)}`
  }
}
