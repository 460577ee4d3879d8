/** How connections of a node are opened, as `pg` takes it. */
export type { PoolConfig } from 'pg'
