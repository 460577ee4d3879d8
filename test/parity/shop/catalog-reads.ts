import { Between, In, MoreThan, Raw } from 'typeorm'
import { Category, Country, Product, Review, Tag } from './catalog'
import { AuditEntry, Setting } from './sales'
import { byId, of, type ShopScript, sql, user } from './script'
/** The catalogue, its trees, the log and the settings. */
export const catalogReads: Readonly<Record<string, ShopScript>> = {
  'products with category and tags': of(Product, (all) =>
    all.find({ relations: { tags: true }, order: { name: 'ASC', tags: { id: 'ASC' } } }),
  ),
  'products by tag': of(Product, (all) => all.find({ where: { tags: { word: 'sale' } }, order: byId })),
  'products of a category, by its name': of(Product, (all) =>
    all.find({ where: { category: { name: In(['knives', 'books']) } }, order: byId }),
  ),
  'products by a fact': of(Product, (all) =>
    all.find({ where: { facts: Raw((column) => `${column} @> '{"colour":"red"}'`) }, order: byId }),
  ),
  'products that have a tag in common': sql(
    `SELECT a."productId" AS one, b."productId" AS other, count(*)::int AS n FROM product_tags_tag a JOIN product_tags_tag b ON a."tagId" = b."tagId" AND a."productId" < b."productId" GROUP BY 1, 2 ORDER BY 1, 2`,
  ),
  'products with reviews by queries': of(Product, (all) =>
    all.find({
      relations: { reviews: true },
      order: { id: 'ASC', reviews: { id: 'ASC' } },
      relationLoadStrategy: 'query',
    }),
  ),
  'the tree of categories': (dataSource) => dataSource.getTreeRepository(Category).findTrees(),
  'what is below a category': (dataSource) =>
    dataSource.getTreeRepository(Category).findDescendants(Object.assign(new Category(), { id: 2 })),
  'what is above a category': async (dataSource) => {
    const trees = dataSource.getTreeRepository(Category)
    return trees.findAncestorsTree(await trees.findOneByOrFail({ id: 3 }))
  },
  'roots of categories': (dataSource) => dataSource.getTreeRepository(Category).findRoots(),
  'a category with parent and children': of(Category, (all) =>
    all.find({ relations: { parent: true, children: true }, order: { id: 'ASC', children: { id: 'ASC' } } }),
  ),
  'tags and countries': async (dataSource) => [
    await dataSource.getRepository(Tag).find({ order: byId }),
    await dataSource.getRepository(Country).findBy({ vat: MoreThan('10') as never }),
  ],
  settings: of(Setting, (all) => all.find({ order: { name: 'ASC' } })),
  'the log of two months': of(AuditEntry, (all) =>
    all.find({
      where: { at: Between(new Date('2026-02-01'), new Date('2026-03-31')) },
      order: { at: 'DESC', id: 'ASC' },
    }),
  ),
  'the log by what happened': (dataSource) =>
    dataSource
      .getRepository(AuditEntry)
      .createQueryBuilder('e')
      .select('e.what', 'what')
      .addSelect('count(*)', 'n')
      .groupBy('e.what')
      .orderBy('n', 'DESC')
      .addOrderBy('what')
      .getRawMany(),
  'reviews by the key of their author': of(Review, (all) => all.find({ where: { author: user(4) }, order: byId })),
  'mean rating of a product': (dataSource) =>
    dataSource
      .getRepository(Product)
      .createQueryBuilder('p')
      .leftJoin('p.reviews', 'r')
      .select('p.id', 'id')
      .addSelect('avg(r.rating)', 'rating')
      .groupBy('p.id')
      .orderBy('rating', 'DESC', 'NULLS LAST')
      .addOrderBy('p.id')
      .getRawMany(),
  'all that a category and below sells, by a recursive query': sql(
    `WITH RECURSIVE below AS (SELECT id FROM category WHERE id = 1 UNION ALL SELECT c.id FROM category c JOIN below b ON c."parentId" = b.id)
     SELECT p.id, p.name FROM product p WHERE p."categoryId" IN (SELECT id FROM below) ORDER BY p.id`,
  ),
}
