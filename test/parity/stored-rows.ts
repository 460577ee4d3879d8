import { inspect } from 'node:util'
import type { DataSource } from 'typeorm'
import { ShardedDataSource } from '../../src/index'
import { Leaf, Seed, Shape, Stamp, Wide } from './bulk-entities'

const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g
const year = new Date().getUTCFullYear()
const moments = new RegExp(`"?${year}-\\d\\d-\\d\\d[T ][\\d:.]+Z?"?`, 'g')

/** What both sides must have alike: all but the time of writing and the uuids that were made. */
export const comparable = (value: unknown): string =>
  inspect(value, { depth: 9, maxArrayLength: null, sorted: true, breakLength: 120 })
    .replace(moments, '<now>')
    .replace(uuids, '<uuid>')

const tables = ['wide', 'seed', 'leaf', 'shape', 'shape_stamp', 'stamp']

/** Every stored row as PostgreSQL writes it. */
export async function storedRows(dataSource: DataSource): Promise<readonly string[]> {
  const places = dataSource instanceof ShardedDataSource ? dataSource.shards() : [undefined]
  const found: string[] = []
  for (const place of places) {
    for (const table of tables) {
      const of = { wide: 'wide', leaf: 'wide', seed: 'seed' }[table] ?? 'shape'
      if (place && place.group !== of) continue
      const on = place ? (dataSource as ShardedDataSource).shard(place.name) : dataSource
      const name = place ? `"__shard__"."${table}"` : `"${table}"`
      const rows: { row: string }[] = await on.query(`SELECT t::text AS row FROM ${name} t`)
      found.push(...rows.map(({ row }) => `${table} ${row.replace(moments, '<now>').replace(uuids, '<uuid>')}`))
    }
  }
  return found.sort()
}

export async function deleteRows(dataSource: DataSource): Promise<void> {
  for (const entity of [Leaf, Wide, Seed, Stamp, Shape])
    await dataSource.query(`DELETE FROM "${dataSource.getMetadata(entity).tableName}"`)
}
