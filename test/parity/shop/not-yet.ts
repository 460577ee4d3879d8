/** What the sharding does not answer yet, and the code with which it refuses. What is answered has to leave this list. */
export const notYet: Readonly<Record<string, string>> = {
  'orders moved to the log, by a WITH that writes': 'STATEMENT_UNSUPPORTED',
  'tags given to a product by the relation': '42P01',
}
