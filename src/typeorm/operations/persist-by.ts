import type { EntityManager, EntityTarget, ObjectLiteral, RemoveOptions, SaveOptions } from 'typeorm'
import type { PersistMode } from '../writes/entity-graph'

interface Entities {
  readonly target: EntityTarget<ObjectLiteral>
  readonly entities: ObjectLiteral[]
  readonly options: (SaveOptions & RemoveOptions) | undefined
}

type Persist = (manager: EntityManager, given: Entities) => Promise<unknown>

/** TypeORM's own methods, each by its name: TypeScript calls none of several whose overloads differ. */
export const persistBy: Readonly<Record<PersistMode, Persist>> = {
  save: (manager, { target, entities, options }) => manager.save(target, entities, options),
  remove: (manager, { target, entities, options }) => manager.remove(target, entities, options),
  softRemove: (manager, { target, entities, options }) => manager.softRemove(target, entities, options),
  recover: (manager, { target, entities, options }) => manager.recover(target, entities, options),
}
