/** One row as `pg` returns it: column name → value. A merge reads its sort columns only and never changes it. */
export type Row = Readonly<Record<string, unknown>>
