import type { ColumnDescription, EntityDescription } from './entity-description'
import type { EntityTarget } from './sharded-options'

interface Places {
  /** The relations of the entity whose other row may be elsewhere. */
  readonly apart: ReadonlySet<string>
  /** An entity of the same group; undefined for others. */
  readonly colocated: (target: EntityTarget) => EntityDescription | undefined
}

/**
 * The names of the unique constraints of an entity that hold among the rows of all shards, though they do not contain the shard key: they
 * contain a foreign key to the primary key of a row in the same group. Two rows with equal values refer to one row, so both lie on its shard,
 * where the database compares them. A one-to-one relation is such a constraint.
 */
export function referencedUniques(entity: EntityDescription, { apart, colocated }: Places): ReadonlySet<string> {
  const foreignKeys = entity.relations.flatMap(({ property, inverse, owning }) => {
    const referenced = colocated(inverse)
    if (!referenced || !owning?.isChecked || apart.has(property)) return []
    const primary = referenced.columns.filter(({ isPrimary }) => isPrimary)
    return isReferredTo(primary, owning.joins) ? [owning.joins.map(({ own }) => own)] : []
  })
  return new Set(
    entity.uniques
      .filter(({ properties }) => foreignKeys.some((own) => own.every((property) => properties.includes(property))))
      .map(({ name }) => name),
  )
}

const isReferredTo = (primary: readonly ColumnDescription[], joins: readonly { readonly referenced: string }[]) =>
  primary.length > 0 && primary.every(({ propertyPath }) => joins.some(({ referenced }) => referenced === propertyPath))
