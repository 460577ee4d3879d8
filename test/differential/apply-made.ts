import { type EntityManager, In, InsertResult, type ObjectLiteral, type Repository } from 'typeorm'
import { specs } from './columns'
import { decode } from './data'
import { entities } from './entities'
import type { Made } from './operation'
import { describe } from './outcome'
import { store } from './store-rows'
import { idsIn } from './with-made-ids'

/** Writes rows without ids, and finds them by those that they were given. */
export async function applyMade(manager: EntityManager, { entity, method, rows }: Made): Promise<unknown> {
  const repository: Repository<ObjectLiteral> = manager.getRepository(entities[entity])
  const given = rows.map(decode) as ObjectLiteral[]
  const result = await write(repository, method, given)
  const own = given.map(({ id }) => id as string)
  const found = await repository.find({ where: { id: In(own) }, order: { id: 'ASC' }, withDeleted: true })
  return {
    ids: idsIn(specs[entity], given),
    found: describe(found),
    // A load gives ids, and no more.
    given: method === 'load' ? [] : describe(given),
    identifiers: result instanceof InsertResult ? describe(result.identifiers) : result === given,
  }
}

function write(repository: Repository<ObjectLiteral>, method: Made['method'], rows: ObjectLiteral[]): Promise<unknown> {
  switch (method) {
    case 'insert':
      return repository.insert(rows)
    case 'save':
      return repository.save(rows)
    case 'upsert':
      return repository.upsert(rows, ['id', 'owner'])
    case 'values':
      return repository.createQueryBuilder().insert().values(rows).execute()
    case 'load':
      return store(repository, rows)
  }
}
