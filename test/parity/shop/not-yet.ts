const betweenGroups = 'CROSS_SHARD_RELATION'

/** What the sharding does not answer yet, and the code with which it refuses. What is answered has to leave this list. */
export const notYet: Readonly<Record<string, string>> = {
  'reviews by the key of their author': betweenGroups,
  'reviews with product and author': betweenGroups,
  'reviews with the tenant of the author, by queries': betweenGroups,
  'a user with all reviews and their products': betweenGroups,
  'reviews by the name of the author': betweenGroups,
  'reviews ordered by the name of the author': betweenGroups,
  'orders with the products of their lines': betweenGroups,
  'orders of all tenants with products, paged': betweenGroups,
  'lines of products of a category': betweenGroups,
  'orders moved to the log, by a WITH that writes': 'STATEMENT_UNSUPPORTED',
  'tags given to a product by the relation': '42P01',
}
