import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { defaultCollation } from '../../query/collation-name'
import type { NodeSortFacts } from '../../query/node-sort-facts'
import { type OrderSubject, type SortForm, sortForm, type ValueType } from '../../query/sort-form'
import { quoted } from '../../values/quoted'
import { typeName } from './describe-entities'

/** Types to which a column's COLLATE applies. */
const collatable = new Set(['text', 'character varying', 'character', 'bpchar', 'citext'])

const ranges = /^(int4|int8|num|ts|tstz|date)(multi)?range$/

/**
 * The type that a column is declared with. The one that it has is not asked for: rows bear witness of their collation, and
 * sources that are not sorted as declared make the merge look it up.
 */
export function declaredType(column: ColumnMetadata): ValueType {
  const name = typeName(column)
  // What the type of an enum is called is not asked for: each shard has its own.
  if (name === 'enum') return { name: column.isArray ? 'enum[]' : 'enum', kind: 'enum', collation: undefined }
  const range = column.isArray ? null : ranges.exec(name)
  return {
    name: column.isArray ? `${name}[]` : name,
    kind: range ? (range[2] ? 'multirange' : 'range') : 'base',
    collation: name === 'name' ? '"C"' : collatable.has(name) ? ownCollation(column) : undefined,
  }
}

const ownCollation = ({ collation }: ColumnMetadata): string =>
  collation === undefined ? defaultCollation : quoted(collation)

/**
 * How a column sorts over the nodes that are asked.
 *
 * @throws ShardedError COLLATION_DIFFERS, ORDER_UNSUPPORTED
 */
export function sortColumn(column: ColumnMetadata, facts: readonly NodeSortFacts[]): SortForm {
  const known = forms.get(column)
  if (known && known.facts.length === facts.length && known.facts.every((one, index) => one === facts[index]))
    return known.form
  const form = sortForm(declaredType(column), facts, subjectOf(column))
  forms.set(column, { facts, form })
  return form
}

/** The last form of a column: it is asked for with every find, and the facts of nodes hardly ever change. */
const forms = new WeakMap<ColumnMetadata, { readonly facts: readonly NodeSortFacts[]; readonly form: SortForm }>()

/** Whom errors about the order of a column name. */
export function subjectOf({ entityMetadata, propertyPath }: ColumnMetadata): OrderSubject {
  return {
    name: `${entityMetadata.name}.${propertyPath}`,
    details: { entity: entityMetadata.name, column: propertyPath },
  }
}

/** In which arithmetic the values of a column are added; undefined where it holds no numbers. */
export function numberKind(column: ColumnMetadata): 'integer' | 'numeric' | 'float' | undefined {
  if (column.isArray) return undefined
  return numberKinds[declaredType(column).name]
}

const numberKinds: Readonly<Record<string, 'integer' | 'numeric' | 'float'>> = {
  smallint: 'integer',
  integer: 'integer',
  bigint: 'integer',
  numeric: 'numeric',
  real: 'float',
  'double precision': 'float',
}

/** True where the entity has a column whose type each shard declares for itself. */
export function hasPerShardTypes(metadata: EntityMetadata): boolean {
  return metadata.columns.some((column) => column.type === 'enum' || column.type === 'simple-enum')
}
