import type { DataSource, ObjectLiteral, Repository } from 'typeorm'
import { idOf } from './seed'

/** What an application asks, and what it is given. */
export type ShopScript = (dataSource: DataSource) => Promise<unknown>

/** Asks the repository of an entity. */
export const of =
  <Entity extends ObjectLiteral>(
    target: new () => Entity,
    ask: (repository: Repository<Entity>) => Promise<unknown>,
  ): ShopScript =>
  (dataSource) =>
    ask(dataSource.getRepository(target))

/** Asks by SQL. */
export const sql =
  (text: string, parameters?: unknown[]): ShopScript =>
  (dataSource) =>
    dataSource.query(text, parameters)

export const byNumber = { number: 'ASC' } as const
export const byId = { id: 'ASC' } as const
/** What names a user. */
export const user = (number: number) => ({ id: idOf('user', number) })
