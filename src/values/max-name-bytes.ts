/** PostgreSQL cuts longer names without an error: two could become one. */
export const maxNameBytes = 63
