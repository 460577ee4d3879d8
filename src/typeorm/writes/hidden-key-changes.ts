import type { ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { canonicalValue, type EntityBinding } from '../binding/entity-binding'
import { sourceValues } from '../binding/entity-shards'
import { hiddenKeySource } from '../binding/hidden-key-source'
import type { ShardAccess } from '../runners/shard-access'
import type { GraphNode, Owner, walkGraph } from './entity-graph'
import type { InheritedKeys } from './inherited-keys'

/** A loaded object that may refer to another row than when it was loaded, by the relation that its hidden shard key comes from. */
interface Resourced extends GraphNode {
  readonly source: RelationMetadata
  /** What holds the object in the other side of the relation. */
  readonly holder: ObjectLiteral | undefined
}

/**
 * Sees that rows which refer to another row than before, by the relation that their hidden shard key comes from, keep their key: nothing
 * but the row that they refer to tells it. Both keys are looked up where they are not known.
 *
 * @throws ShardedError KEY_CHANGED
 */
export async function checkHiddenKeys(
  access: ShardAccess,
  inherited: InheritedKeys,
  graphs: readonly ReturnType<typeof walkGraph>[],
): Promise<void> {
  const resourced = graphs.flatMap(({ nodes, links, owners }) =>
    [...nodes, ...links].flatMap((node) => resourcedOf(access, node, owners.get(node.entity)) ?? []),
  )
  if (resourced.length === 0) return
  const holders = resourced.flatMap(({ source, holder }) => {
    const binding = access.runtime.bindingOf(source.inverseEntityMetadata.target)
    return holder && binding ? [{ binding, entity: holder }] : []
  })
  await inherited.find([...resourced, ...holders])
  for (const one of resourced) {
    const { binding, entity, source, holder } = one
    const before = canonicalOf(binding, inherited.rowValues(one))
    const parent = access.runtime.bindingOf(source.inverseEntityMetadata.target)
    const values =
      holder && parent ? inherited.valuesOf({ binding: parent, entity: holder }) : inherited.valuesBy(source, one)
    const now = canonicalOf(binding, values)
    // A row that is not there is refused by the foreign key.
    if (!before || !now || before.every((part, index) => part === now[index])) continue
    throw hiddenKeyChanged(binding, { source, before, now, entity })
  }
}

function resourcedOf(
  access: ShardAccess,
  { binding, entity }: GraphNode,
  owner: Owner | undefined,
): Resourced | undefined {
  const source = hiddenKeySource(binding.metadata)
  const origin = source && access.runtime.entityShards.of(entity)
  if (!source || !origin) return undefined
  const isHeld = owner !== undefined && owner.relation.inverseRelation === source
  const now = isHeld
    ? source.joinColumns.map((column): unknown => column.referencedColumn?.getEntityValue(owner.entity))
    : sourceValues(source, entity)
  const isUnchanged = now.every((value, index) => value === undefined || value === origin.source?.[index])
  return isUnchanged || now.includes(null)
    ? undefined
    : { binding, entity, source, holder: isHeld ? owner.entity : undefined }
}

const canonicalOf = (binding: EntityBinding, values: readonly unknown[]): readonly string[] | undefined =>
  values.length > 0 && values.every((value) => value !== undefined && value !== null)
    ? values.map((value, index) => canonicalValue(binding, index, value))
    : undefined

function hiddenKeyChanged(
  { entity: { name } }: EntityBinding,
  { source, before, now }: Pick<Resourced, 'source' | 'entity'> & Record<'before' | 'now', readonly string[]>,
): ShardedError {
  return new ShardedError(
    'KEY_CHANGED',
    `${name}.${source.propertyPath} would refer to a row with the shard key ${now.join(', ')}, and the row of ${name} has ${before.join(', ')}.`,
    {
      details: { entity: name, relation: source.propertyPath, before, now },
      fix: 'Remove the object, and insert it as a new one.',
    },
  )
}
