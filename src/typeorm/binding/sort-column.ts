import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { defaultCollation, type NodeSortFacts } from '../../query/node-sort-facts'
import { type OrderSubject, type SortForm, sortForm, type ValueType } from '../../query/sort-form'
import { quoted } from '../../values/quoted'
import { typeName } from './describe-entities'

/** Types to which a column's COLLATE applies. */
const collatable = new Set(['text', 'character varying', 'character', 'bpchar', 'citext'])

const ranges = /^(int4|int8|num|ts|tstz|date)(multi)?range$/

/** The type that a column is declared with. */
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

/**
 * The type by which a column's values are ordered: as declared, until a statement has failed that was planned for it.
 * Statements carry the type along for PostgreSQL to check, and rows bear witness of their collation.
 */
export function knownType(column: ColumnMetadata): ValueType {
  const known = types.get(column)
  if (known) return known
  const declared = declaredType(column)
  types.set(column, declared)
  return declared
}

/** Takes note of the type that a column has in a database. @returns true if another one was known */
export function learnType(column: ColumnMetadata, type: ValueType): boolean {
  const known = knownType(column)
  // Each shard has enums of its own, and its rows bear witness of the labels.
  const isSameEnum = type.kind === 'enum' && type.name.endsWith('[]') === known.name.endsWith('[]')
  if (type.kind === known.kind && (type.name === known.name || isSameEnum)) return false
  types.set(column, type)
  forms.delete(column)
  typesVersion += 1
  return true
}

/** Grows when the type of a column is not as it was known: what was planned by the old type is planned anew. */
export let typesVersion = 0

const types = new WeakMap<ColumnMetadata, ValueType>()

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
  const form = sortForm(knownType(column), facts, subjectOf(column))
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
  return numberKinds[knownType(column).name]
}

const numberKinds: Readonly<Record<string, 'integer' | 'numeric' | 'float'>> = {
  smallint: 'integer',
  integer: 'integer',
  bigint: 'integer',
  numeric: 'numeric',
  real: 'float',
  'double precision': 'float',
}
