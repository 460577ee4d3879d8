import type { DataSource, EntityManager, FindManyOptions, ObjectLiteral } from 'typeorm'
import { decoded, type Json, type JsonObject, type ShopOperation } from './operation'

const optionsOf = (data: Json): FindManyOptions<ObjectLiteral> => decoded(data) as FindManyOptions<ObjectLiteral> // The generator makes them.
const objectOf = (data: JsonObject): ObjectLiteral => decoded(data) as ObjectLiteral // It is made of an object.

/** Does an operation, and gives what an application would get. */
export async function apply(operation: ShopOperation, manager: EntityManager): Promise<unknown> {
  const repository = manager.getRepository<ObjectLiteral>(operation.entity)
  switch (operation.do) {
    case 'find':
      return repository[operation.get](optionsOf(operation.options))
    case 'build':
      return build(operation, manager)
    case 'lazy': {
      const entity = await repository.findOneByOrFail(objectOf(operation.key))
      return entity[operation.relation] as unknown
    }
    case 'save':
      return repository.save(operation.objects.map(objectOf))
    case 'preload': {
      const entity = await repository.preload(objectOf(operation.object))
      return entity && repository.save(entity)
    }
    case 'change':
      return change(operation, manager)
    case 'remove':
    case 'softRemove': {
      const entity = await loaded(operation, manager)
      await (operation.do === 'remove' ? repository.remove(entity) : repository.softRemove(entity))
      return entity
    }
    case 'delete':
    case 'softDelete': {
      const { affected } = await repository[operation.do](objectOf(operation.where))
      return affected
    }
    case 'update': {
      const { affected } = await repository.update(objectOf(operation.where), objectOf(operation.set))
      return affected
    }
  }
}

type Loading = Pick<Extract<ShopOperation, { do: 'change' }>, 'entity' | 'key' | 'relations' | 'isBare'>

function loaded({ entity, key, relations, isBare = false }: Loading, manager: EntityManager): Promise<ObjectLiteral> {
  const repository = manager.getRepository<ObjectLiteral>(entity)
  const primaryKey = repository.metadata.primaryColumns.map(({ propertyName }) => [propertyName, true])
  return repository.findOneOrFail({
    where: objectOf(key),
    ...(isBare
      ? { select: Object.fromEntries(primaryKey) }
      : { relations: Object.fromEntries(relations.map((name) => [name, true])) }),
    withDeleted: true,
  })
}

async function change(
  operation: Extract<ShopOperation, { do: 'change' }>,
  manager: EntityManager,
): Promise<ObjectLiteral> {
  const entity = await loaded(operation, manager)
  for (const name of operation.relations) {
    const list: unknown = operation.isBare === true && name in operation.added ? [] : entity[name]
    if (!Array.isArray(list)) continue
    const sorted = [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    entity[name] = [...sorted.slice(operation.dropped[name] ?? 0), ...(operation.added[name] ?? []).map(objectOf)]
  }
  Object.assign(entity, objectOf(operation.set))
  await manager.getRepository(operation.entity).save(entity)
  return entity
}

function build(
  { entity, joins, where, order, page, get }: Extract<ShopOperation, { do: 'build' }>,
  manager: EntityManager,
): Promise<unknown> {
  const builder = manager.getRepository(entity).createQueryBuilder('r')
  for (const { path, alias, isInner, isSelected } of joins) {
    if (isInner && isSelected) builder.innerJoinAndSelect(path, alias)
    else if (isInner) builder.innerJoin(path, alias)
    else if (isSelected) builder.leftJoinAndSelect(path, alias)
    else builder.leftJoin(path, alias)
  }
  for (const [index, { column, operator, value }] of where.entries()) {
    const right = operator === 'IN' ? `(:...p${index})` : operator.startsWith('IS') ? '' : `:p${index}`
    builder.andWhere(`${column} ${operator} ${right}`, right === '' ? {} : { [`p${index}`]: decoded(value) })
  }
  for (const [column, direction] of order) builder.addOrderBy(column, direction)
  const { skip, take } = page
  if (typeof skip === 'number') builder.skip(skip)
  if (typeof take === 'number') builder.take(take)
  return builder[get]()
}

export const isWrite = ({ do: what }: ShopOperation): boolean => !['find', 'build', 'lazy'].includes(what)

/** The rows of all tables, as texts. @param plain has the columns that objects show */
export async function contentsOf(manager: EntityManager, plain: DataSource): Promise<readonly string[]> {
  const columns = new Map<string, Set<string>>()
  for (const { tableName, columns: own } of plain.entityMetadatas) {
    const names = columns.get(tableName) ?? new Set()
    for (const { databaseName } of own) names.add(`"${databaseName}"`)
    columns.set(tableName, names)
  }
  const texts: string[] = []
  for (const [table, names] of columns) {
    const rows: readonly object[] = await manager.query(`SELECT ${[...names].join(', ')} FROM ${table}`)
    texts.push(...rows.map((row) => `${table} ${JSON.stringify(row)}`))
  }
  return texts.sort()
}
