import { Column, Entity, Index, PrimaryColumn } from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src'

/** Sixteen shards, each a schema of its own: `city_00` … `city_15`. */
@Entity()
@Sharded(hash({ shards: 16 }))
export class City {
  /** The number of the place at geonames.org. */
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('text')
  name!: string

  @Column('text')
  country!: string

  @Index()
  @Column('int')
  population!: number

  @Column('float8')
  longitude!: number

  @Column('float8')
  latitude!: number

  @Column('text', { nullable: true })
  note!: string | null
}
