import type { ShopOperation } from './operation'

const byKey = { tenantId: 'ASC', userId: 'ASC', productId: 'ASC' }
const ofWish = { tenantId: true, userId: true, productId: true, rank: true }

/** What was answered otherwise than by one database once: by what was wrong. */
export const regressions: Readonly<Record<string, ShopOperation>> = {
  'an eager relation that is named and selected in part is selected whole': {
    do: 'find',
    entity: 'Wish',
    get: 'find',
    options: { relations: { product: true }, order: byKey, select: { ...ofWish, product: { id: true, name: true } } },
  },
  'an eager relation of which no column is selected is there': {
    do: 'find',
    entity: 'Wish',
    get: 'find',
    options: {
      relations: { product: true },
      order: byKey,
      select: { ...ofWish, product: { category: { name: true } } },
    },
  },
  'what is selected of a relation of an eager relation': {
    do: 'find',
    entity: 'Wish',
    get: 'find',
    options: {
      relations: { product: { reviews: true } },
      order: byKey,
      select: { ...ofWish, product: { name: true, reviews: { text: true } } },
    },
  },
  'a page with selected columns of a relation counts their values': {
    do: 'find',
    entity: 'User',
    get: 'findAndCount',
    options: {
      relations: { reviews: true },
      order: { id: 'ASC' },
      select: { id: true, reviews: { text: true } },
      take: 4,
    },
  },
  'a count with selected columns of a relation counts their values': {
    do: 'find',
    entity: 'User',
    get: 'count',
    options: { relations: { reviews: true }, select: { id: true, reviews: { text: true } } },
  },
  'the same of an unsharded entity': {
    do: 'find',
    entity: 'Setting',
    get: 'count',
    options: {
      relations: { tenant: { users: true } },
      select: { name: true, tenant: { id: true, users: { name: true } } },
    },
  },
  'by queries, a relation of a row that is softly deleted': {
    do: 'find',
    entity: 'Line',
    get: 'find',
    options: {
      relations: { product: true },
      order: { tenantId: 'ASC', orderNumber: 'ASC', place: 'ASC' },
      withDeleted: true,
      relationLoadStrategy: 'query',
    },
  },
}
