import { FindOperator, In, type ObjectLiteral } from 'typeorm'
import { routePredicate } from '../../routing/route'
import type { EntityBinding } from '../binding/entity-binding'
import { cloneWhere } from './clone-where'
import { type BindingOf, findPredicate, isEmptyObject, isPlain } from './find-predicate'

/**
 * The part of a `where` that concerns one shard: IN lists on the shard key with only the shard's own values, branches of
 * an OR without those that cannot match there. Undefined where nothing is narrower than the whole, so that one statement
 * serves all shards.
 */
export function narrowWhere<Where>(
  binding: EntityBinding,
  where: Where,
  bindingOf: BindingOf,
): ((shard: number) => Where) | undefined {
  if (listPaths(binding).length === 0) return undefined
  const narrow = Array.isArray(where)
    ? narrowBranches(binding, where, bindingOf)
    : isPlain(where) && narrowList(binding, where)
  // A part of a condition is of the type of the whole.
  return narrow ? (shard) => narrow(shard) as Where : undefined
}

/** The columns a list of whose values tells the shard of each: a shard key of one column, and those that hold ids. */
const listPaths = ({ keyColumns, slotColumns }: EntityBinding): readonly string[] =>
  [...(keyColumns.length === 1 ? keyColumns : []), ...slotColumns.map(({ column }) => column)].map(
    (column) => column.propertyPath,
  )

function narrowBranches(
  binding: EntityBinding,
  where: readonly unknown[],
  bindingOf: BindingOf,
): ((shard: number) => unknown) | undefined {
  const branches = where.filter((branch) => !isEmptyObject(branch))
  // A relation in any branch joins (or counts) for the whole query: then no branch may go.
  if (branches.length < 2 || branches.some((branch) => mentionsRelation(binding, branch))) return undefined
  const parts = branches.map((branch) => ({
    shards: new Set(routePredicate(binding, findPredicate(binding, branch, bindingOf)).shards),
    narrow: isPlain(branch) ? narrowList(binding, branch) : undefined,
    branch,
  }))
  return (shard) => {
    const kept = parts.filter((part) => part.shards.has(shard))
    return (kept.length > 0 ? kept : parts).map(
      (part) => part.narrow?.(shard) ?? cloneWhere(binding.metadata, part.branch),
    )
  }
}

const mentionsRelation = (binding: EntityBinding, branch: unknown): boolean =>
  isPlain(branch) &&
  Object.keys(branch).some((name) => binding.metadata.findRelationWithPropertyPath(name) !== undefined)

/** Splits `In([…])` on the shard key, or else on ids, by owner. */
function narrowList(binding: EntityBinding, where: ObjectLiteral): ((shard: number) => unknown) | undefined {
  for (const path of listPaths(binding)) {
    const narrow = narrowListAt(binding, where, path)
    if (narrow) return narrow
  }
  return undefined
}

function narrowListAt(
  binding: EntityBinding,
  where: ObjectLiteral,
  path: string,
): ((shard: number) => unknown) | undefined {
  const names = path.split('.')
  const operator = names.reduce<unknown>((object, name) => (isPlain(object) ? object[name] : undefined), where)
  if (!(operator instanceof FindOperator) || operator.type !== 'in' || operator.child || !Array.isArray(operator.value))
    return undefined
  const values: readonly unknown[] = operator.value
  const owners = values.map((value) => ownersOf(binding, path, value))
  return (shard) => {
    const own = values.filter((_, index) => owners[index]?.has(shard))
    const narrowed = cloneWhere(binding.metadata, where)
    const parent = names.slice(0, -1).reduce<ObjectLiteral>((object, name) => object[name], narrowed)
    parent[names.at(-1) ?? ''] = In(own)
    return narrowed
  }
}

function ownersOf(binding: EntityBinding, path: string, value: unknown): ReadonlySet<number> {
  const nested = path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)
  return new Set(
    routePredicate(
      binding,
      findPredicate(binding, nested, () => undefined),
    ).shards,
  )
}
