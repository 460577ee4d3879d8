import { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import { hash } from '../functions/hash'
import type { ModelDefaults } from './build-sharded-model'
import { snakeCase } from './colocation-groups'
import { inherits, marks } from './declared-entities'
import type { ColumnDescription, EntityDescription } from './entity-description'
import type { Lookup, LookupArgs, LookupModel } from './lookup'
import type { KeyColumn, ShardedEntity, ShardedModel, ShardGroup } from './sharded-entity'

/** The entities of a data source, and what the decorators of lookups left. */
interface Declarations {
  readonly entities: readonly EntityDescription[]
  readonly lookups: readonly LookupArgs[]
}

/**
 * Adds the lookups that the decorators declared to a model, each with a colocation group of its own that has as many
 * shards as the entity's.
 *
 * @throws ShardedError LOOKUP_INVALID, or DECLARATIONS_INVALID if there are several; with `refusals` their caller throws
 */
export function withLookups(
  model: ShardedModel,
  { entities, lookups: declared }: Declarations,
  defaults: Pick<ModelDefaults, 'layout' | 'groups' | 'refusals'>,
): LookupModel {
  const refusals = defaults.refusals ?? new Refusals()
  const lookups: Lookup[] = []
  const groups = new Map(model.groups)
  const add = (description: EntityDescription, args: LookupArgs): void => {
    const columns = columnsOf(args, description)
    if (!columns) return
    const entity = model.entities.get(description.target)
    if (!entity) return
    if (entity.kind !== 'sharded')
      throw invalid(description, args, 'is not sharded: TypeORM’s own @Unique and @Index do')
    const { lookup, group } = build({ args, description, entity, columns }, model.groups, defaults)
    const other = groups.get(group.name)
    if (other) throw invalid(description, args, `would have the name ${group.name}, which is taken`)
    groups.set(group.name, group)
    lookups.push(lookup)
  }
  for (const description of entities) {
    // Children of single-table inheritance have their columns among the root's.
    if (description.parent !== undefined) continue
    for (const args of declared) refusals.attempt(() => add(description, args))
  }
  if (!defaults.refusals) refusals.throwAny()
  return Object.freeze({ entities: model.entities, groups, lookups: Object.freeze(lookups) })
}

interface Declared {
  readonly args: LookupArgs
  readonly description: EntityDescription
  readonly entity: ShardedEntity
  readonly columns: readonly ColumnDescription[]
}

/** The columns that a declaration means in an entity; undefined where it is of another. @throws ShardedError LOOKUP_INVALID */
function columnsOf(args: LookupArgs, entity: EntityDescription): readonly ColumnDescription[] | undefined {
  if (args.isMark) {
    const { target, properties } = args
    const marked = entity.columns.filter((column) =>
      properties.some((propertyName) => marks({ target, propertyName }, column, entity)),
    )
    if (marked.length > 0) return marked
    if (inherits(entity.target, args.target)) throw invalid(entity, args, 'marks no column')
    return undefined
  }
  if (!inherits(entity.target, args.target) && !inherits(args.target, entity.target)) return undefined
  if (args.properties.length === 0) throw invalid(entity, args, 'lists no property')
  const listed = args.properties.flatMap((path) => {
    // A relation means all columns of its foreign key.
    const found = entity.columns.filter((column) => column.propertyPath === path || column.relationProperty === path)
    if (found.length === 0) throw invalid(entity, args, `names "${path}", which is no column`)
    return found
  })
  return [...new Set(listed)]
}

function build(
  { args, description, entity, columns }: Declared,
  groups: LookupModel['groups'],
  defaults: Pick<ModelDefaults, 'layout' | 'groups'>,
): { readonly lookup: Lookup; readonly group: ShardGroup } {
  const paths = columns.map((column) => column.propertyPath)
  if (entity.keyColumns.every((column) => paths.includes(column.propertyPath)))
    throw invalid(
      description,
      args,
      'holds the whole shard key: rows with equal values are on one shard, where @Unique and @Index do',
    )
  const keyColumns = columns.map((column) => keyColumn(column, { args, description }))
  const primaryKey = description.columns
    .filter((column) => column.isPrimary)
    .map((column) => keyColumn(column, { args, description }))
  const name = `${snakeCase(description.name)}_${paths.map((path) => snakeCase(path.replaceAll('.', '_'))).join('_')}_lookup`
  const own = groups.get(entity.group)
  if (own?.rolling && !defaults.groups[name]?.shards)
    throw invalid(
      description,
      args,
      `has no number of shards, since those of ${entity.group} come and go: give it one with the option groups: { ${name}: { shards: hash({ shards: … }) } }`,
    )
  const fn = defaults.groups[name]?.shards ?? hash({ shards: own?.labels.length ?? 1 })
  const bound = fn.bind(keyColumns.map(({ type }) => type))
  return {
    lookup: Object.freeze({
      name,
      entity,
      columns: Object.freeze(keyColumns),
      primaryKey: Object.freeze(primaryKey),
      isUnique: args.isUnique,
      givenName: args.name,
      fn: bound,
    }),
    group: Object.freeze({
      name,
      labels: fn.labels,
      layout: defaults.groups[name]?.layout ?? own?.layout ?? defaults.layout,
      spaces: bound.spaces,
      keyTypes: [],
      print: bound.print,
    }),
  }
}

/** A value is found by its canonical text, and so must have one. */
function keyColumn(
  { propertyPath, keyType, modifiers, type }: ColumnDescription,
  { args, description }: Pick<Declared, 'args' | 'description'>,
): KeyColumn {
  if (keyType) return Object.freeze({ propertyPath, type: keyType, ...modifiers })
  throw invalid(description, args, `needs ${propertyPath}, whose values of type ${type} cannot be told apart here`)
}

const invalid = ({ name }: EntityDescription, args: LookupArgs, what: string): ShardedError =>
  new ShardedError(
    'LOOKUP_INVALID',
    `${args.isUnique ? '@GlobalUnique' : '@LookupIndex'} of ${name} (${args.properties.join(', ')}) ${what}.`,
    { details: { entity: name, properties: args.properties } },
  )
