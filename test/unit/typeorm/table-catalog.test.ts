import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { createShardMap } from '../../../src/topology/shard-map'
import { buildTableCatalog } from '../../../src/typeorm/binding/table-catalog'

@Entity('ref')
class Ref {
  @PrimaryColumn('int') id!: number
  @Column('text') label!: string
}

@Entity({ name: 'ref', schema: 'analytics' })
class Visits {
  @PrimaryColumn('int') id!: number
  @Column('int') visits!: number
}

@Entity({ name: 'log', schema: 'analytics' })
class Log {
  @PrimaryColumn('int') id!: number
}

/** Metadata without a database. */
class Described extends DataSource {
  async metadatasOf() {
    await this.buildMetadatas()
    return this.entityMetadatas
  }
}

describe('the tables that SQL names', () => {
  it('have the columns of their own schema, unsharded ones of one name as well', async () => {
    const metadatas = await new Described({ type: 'postgres', entities: [Visits, Ref, Log] }).metadatasOf()
    const catalog = buildTableCatalog(metadatas, {
      schemas: { searched: 'public', sharded: 'public' },
      groupOf: () => undefined,
      isReference: () => false,
      bindingOf: () => undefined,
      map: createShardMap({ nodes: [{ name: 'a' }], groups: [] }),
    })
    expect(catalog.homeColumns(undefined, 'ref')).toEqual(['id', 'label'])
    expect(catalog.homeColumns('public', 'ref')).toEqual(['id', 'label'])
    expect(catalog.homeColumns('analytics', 'ref')).toEqual(['id', 'visits'])
    expect(catalog.homeColumns(undefined, 'log')).toEqual(['id'])
    expect(catalog.homeColumns('other', 'ref')).toBeUndefined()
  })
})
