import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { isPageNumber, limitNumber, type Page, pageNumber } from '../../query/page'
import type { ArmQueryBuilder } from '../find/arm-query-builder'

/** OFFSET and LIMIT of a find, as they are given. */
export interface WrittenPage {
  readonly skip?: FindManyOptions<ObjectLiteral>['skip'] | undefined
  readonly take?: FindManyOptions<ObjectLiteral>['take'] | undefined
}

/** OFFSET and LIMIT as TypeORM writes them: in a joined find it writes none where both are 0; otherwise LIMIT 0 is a page of nothing. */
export function writtenPage(builder: ArmQueryBuilder<ObjectLiteral>): WrittenPage {
  const { skip, take } = builder.expressionMap
  return builder.isJoined && !skip && !take ? {} : { skip: skip ?? undefined, take: take ?? undefined }
}

/** The page of a find, in whole rows; see `isRefusedPage` for those that PostgreSQL refuses. */
export function pageOf(builder: ArmQueryBuilder<ObjectLiteral>): { readonly page: Page; readonly isPaged: boolean } {
  const { skip, take } = writtenPage(builder)
  const offset = pageNumber(skip ?? 0)
  const limit = limitNumber(take)
  const end = limit === undefined ? undefined : offset + limit
  return { page: { offset, limit, end }, isPaged: skip !== undefined || take !== undefined }
}

/** PostgreSQL refuses such a page, of any rows: one shard is enough to hear its error. */
export const isRefusedPage = ({ skip, take }: WrittenPage): boolean =>
  [skip, take].some((number) => number !== undefined && number !== null && !isPageNumber(Number(number)))
