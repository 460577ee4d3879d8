/** Names that PostgreSQL keeps for itself: it refuses to create `pg_…`, and `information_schema` is in every database. */
export const isReservedSchema = (name: string): boolean => name.startsWith('pg_') || name === 'information_schema'
