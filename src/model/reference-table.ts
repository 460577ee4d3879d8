import { inherits } from './declared-entities'
import { type EntityTarget, type ReferenceSeed, shardArgsStorage } from './sharded-options'

/** The options of `@ReferenceTable`. */
export interface ReferenceTableOptions {
  /**
   * Rows that are inserted once, by the `synchronize()` or `buildReferenceTables()` that first finds the table without them: a list, a
   * function that gives one, or the URL of a JSON file with one. Rows whose key is there already stay as they are. What is later
   * changed or deleted is not brought back.
   */
  readonly seed?: ReferenceSeed
}

/**
 * Has an entity stored in full on every node: joins with sharded and unsharded tables then stay on the node that is read, and
 * foreign keys to it are real. Writes go to all nodes in one transaction. For small tables that are read often and rarely
 * written: countries, roles, products. What it says is checked when the data source initialises.
 *
 * @example
 * @Entity() @ReferenceTable({ seed: new URL('countries.json', import.meta.url) })
 * class Country { @PrimaryColumn() code!: string; @Column() name!: string }
 */
export function ReferenceTable(options: ReferenceTableOptions = {}): ClassDecorator {
  return (target) => declareReference(target, options)
}

/**
 * Has an entity that is declared by TypeORM's `EntitySchema` stored on every node; returns the same schema.
 *
 * @example
 * export const CountrySchema = referenceSchema(new EntitySchema<Country>({ name: 'Country', columns: { … } }))
 */
export function referenceSchema<
  Schema extends { readonly options: { readonly name: string; readonly target?: unknown } },
>(schema: Schema, options: ReferenceTableOptions = {}): Schema {
  declareReference(schema.options.target ?? schema.options.name, options)
  return schema
}

function declareReference(target: EntityTarget, { seed }: ReferenceTableOptions): void {
  const storage = shardArgsStorage()
  storage.references ??= []
  storage.references.push({ target, seed })
}

/** Whether an entity, or a base class of it, is declared as a reference table. */
export const isDeclaredReference = (target: EntityTarget): boolean =>
  shardArgsStorage().references?.some((one) => inherits(target, one.target)) === true

/** The rows that the table of an entity is to have from its beginning. */
export const seedOf = (target: unknown): ReferenceSeed | undefined =>
  shardArgsStorage().references?.find((one) => one.target === target)?.seed
