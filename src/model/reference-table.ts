import { inherits } from './declared-entities'
import { type EntityTarget, shardArgsStorage } from './sharded-options'

/**
 * Has an entity stored in full on every node: joins with sharded and unsharded tables then stay on the node that is read, and
 * foreign keys to it are real. Writes go to all nodes in one transaction. For small tables that are read often and rarely
 * written: countries, roles, products. What it says is checked when the data source initialises.
 *
 * @example
 * @Entity() @ReferenceTable()
 * class Country { @PrimaryColumn() code!: string; @Column() name!: string }
 */
export function ReferenceTable(): ClassDecorator {
  return (target) => declareReference(target)
}

/**
 * Has an entity that is declared by TypeORM's `EntitySchema` stored on every node; returns the same schema.
 *
 * @example
 * export const CountrySchema = referenceSchema(new EntitySchema<Country>({ name: 'Country', columns: { … } }))
 */
export function referenceSchema<
  Schema extends { readonly options: { readonly name: string; readonly target?: unknown } },
>(schema: Schema): Schema {
  declareReference(schema.options.target ?? schema.options.name)
  return schema
}

function declareReference(target: EntityTarget): void {
  const storage = shardArgsStorage()
  storage.references ??= []
  storage.references.push(target)
}

/** Whether an entity, or a base class of it, is declared as a reference table. */
export const isDeclaredReference = (target: EntityTarget): boolean =>
  shardArgsStorage().references?.some((one) => inherits(target, one)) === true
