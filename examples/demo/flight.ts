import { Column, Entity, PrimaryColumn } from 'typeorm'
import { Sharded, ShardKey, time } from '../../src'

/** Six shards, each a table of its own in the schema `public`: `flight_2001_01` … `flight_2001_06`. */
@Entity()
@Sharded(time({ every: 'month', from: '2001-01', to: '2001-07' }), { layout: 'table' })
export class Flight {
  /** The row's number in the file. */
  @PrimaryColumn('int')
  id!: number

  /** The file names no time zone; it is read as UTC. */
  @ShardKey()
  @Column('timestamptz')
  departure!: Date

  @Column('text')
  origin!: string

  @Column('text')
  destination!: string

  /** Miles. */
  @Column('int')
  distance!: number

  /** Minutes late on arrival; negative is early. */
  @Column('int')
  delay!: number
}
