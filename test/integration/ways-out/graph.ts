import {
  type DataSource,
  EntitySchema,
  type EntitySchemaColumnOptions,
  type EntitySchemaRelationOptions,
  ViewColumn,
  ViewEntity,
} from 'typeorm'
import type { TreeType } from 'typeorm/metadata/types/TreeTypes'
import {
  type Colocation,
  hash,
  referenceSchema,
  type ShardedIdKind,
  type ShardedOptions,
  type ShardingFunction,
  shardedSchema,
} from '../../../src/index'

/** Entities of one data source, made anew: what a schema declares is remembered of its class. */
/** A schema, or the class of a view that an EntitySchema cannot say. */
export type Declaration = EntitySchema | (new () => object)

export type Graph = () => readonly Declaration[]

type Columns = Readonly<Record<string, EntitySchemaColumnOptions>>

interface Declared {
  readonly columns?: Columns
  readonly relations?: Readonly<Record<string, EntitySchemaRelationOptions>>
  readonly unique?: readonly string[]
  readonly table?: string
  readonly schema?: string
  readonly tree?: TreeType
}

/** What of an entity the sharding is told. */
interface ShardedDeclared extends Declared {
  readonly by?: ShardingFunction | Colocation
  readonly key?: readonly string[]
  readonly id?: { readonly property: string; readonly kind?: ShardedIdKind }
  readonly options?: ShardedOptions
  readonly lookups?: readonly { readonly properties: readonly string[]; readonly unique?: boolean }[]
}

export const id = { type: 'int', primary: true } as const
export const int = { type: 'int' } as const
export const text = { type: 'text' } as const
export const two = hash({ shards: 2 })

/** Refers to another entity by its primary key. */
export const to = (target: string, more: Partial<EntitySchemaRelationOptions> = {}): EntitySchemaRelationOptions => ({
  type: 'many-to-one',
  target,
  ...more,
})

export const many = (target: string, more: Partial<EntitySchemaRelationOptions> = {}): EntitySchemaRelationOptions => ({
  type: 'many-to-many',
  target,
  joinTable: true,
  ...more,
})

/** The shard key that a colocated entity has in a column of its own. */
export const joinedBy = (name: string): Partial<EntitySchemaRelationOptions> => ({ joinColumn: { name } })

export function plain(name: string, { columns = { id }, relations = {}, unique, table, schema, tree }: Declared = {}) {
  const target = { [name]: class {} }[name]
  if (!target) throw new Error(`There is no class ${name}.`)
  return new EntitySchema<object>({
    name,
    target,
    columns,
    relations,
    ...(unique && { uniques: [{ columns: [...unique] }] }),
    ...(table !== undefined && { tableName: table }),
    ...(schema !== undefined && { schema }),
    ...(tree && { trees: [{ type: tree }] }),
  })
}

export function sharded(name: string, declared: ShardedDeclared = {}) {
  const { by = two, key = ['id'], id: own, options, lookups } = declared
  return shardedSchema(plain(name, declared), {
    by,
    shardKey: key,
    ...(own && { id: own }),
    ...(options && { options }),
    ...(lookups && { lookups }),
  })
}

/** A view, which may keep its rows: an EntitySchema cannot say that. */
export function viewOf(name: string, expression: string, materialized = false): new () => object {
  const view = { [name]: class {} }[name] ?? class {}
  ViewEntity({ name, expression, materialized })(view)
  ViewColumn()(view.prototype, 'n')
  return view
}

export const beside = (name: string): Colocation => ({ colocatedWith: () => name })

export const reference = (name: string, declared: Declared = {}) => referenceSchema(plain(name, declared))

const one: Readonly<Record<string, unknown>> = {
  int: 1,
  bigint: '1',
  text: '1',
  varchar: '1',
  boolean: true,
  uuid: '00000000-0000-4000-8000-000000000001',
  timestamptz: new Date(0),
}

/** An object of an entity whose values are all 1, and which refers to such objects. */
function objectOf({ options }: EntitySchema): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [name, column] of Object.entries(options.columns))
    if (column && !column.generated && column.default === undefined) object[name] = one[String(column.type)]
  for (const [name, relation] of Object.entries(options.relations ?? {}))
    if (relation) object[name] = relation.type === 'many-to-many' ? [{ id: 1 }] : { id: 1 }
  return object
}

/** Saves an object of each entity, in their order, and finds it again with all that it refers to. */
export async function saveAndFind(dataSource: DataSource, graph: readonly Declaration[]): Promise<void> {
  const schemas = graph.filter((one) => one instanceof EntitySchema)
  for (const view of graph) if (!(view instanceof EntitySchema)) await dataSource.getRepository(view).find()
  for (const schema of schemas) await dataSource.getRepository(schema).save(objectOf(schema))
  for (const schema of schemas) {
    const relations = Object.keys(schema.options.relations ?? {})
    const found = await dataSource
      .getRepository(schema)
      .find({ relations: Object.fromEntries(relations.map((name) => [name, true])) })
    const missing = relations.filter((name) => {
      const value: unknown = Reflect.get(found[0] ?? {}, name)
      return Array.isArray(value) ? value.length !== 1 : !value
    })
    if (found.length !== 1 || missing.length > 0)
      throw new Error(`Of ${schema.options.name} were found ${found.length}, without ${missing.join(', ')}.`)
  }
}
