import { Column, Entity, JoinTable, ManyToMany, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@ReferenceTable()
class Mark {
  @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Holder {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'holder' }) name!: string
  /** Rows beside it. */
  @OneToMany(
    () => Near,
    (near) => near.holder,
    { cascade: true },
  )
  near!: Relation<Near>[]
  /** Rows elsewhere. */
  @OneToMany(
    () => Far,
    (far) => far.holder,
    { cascade: true },
  )
  far!: Relation<Far>[]
  @ManyToMany(() => Mark, { cascade: ['insert'] }) @JoinTable() marks!: Relation<Mark>[]
}

@Entity()
@Sharded({ colocatedWith: () => Holder })
class Near {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') holderId!: number
  @Column('text', { default: 'near' }) name!: string
  @ManyToOne(
    () => Holder,
    (holder) => holder.near,
    { orphanedRowAction: 'delete' },
  )
  holder!: Relation<Holder>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Far {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'far' }) name!: string
  @ManyToOne(
    () => Holder,
    (holder) => holder.far,
  )
  holder!: Relation<Holder> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Bag {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Holder, { cascade: ['insert'] }) holder!: Relation<Holder> | null
}

const ids = [1, 2, 3, 4, 5, 6]

describe('a cascade that may only insert, to a row that is there', () => {
  onTargets({ entities: [Mark, Holder, Near, Far, Bag], groups: ['holder', 'far', 'bag'] }, (target) => {
    it('leaves the row, and writes its lists', async () => {
      const { manager } = target.dataSource
      await manager.save(Mark, [{ id: 1 }, { id: 2 }])
      for (const id of ids) {
        const listed = { near: [{ id }], far: [{ id }, { id: id + 10 }], marks: [{ id: 1 }] }
        await manager.save(Holder, { id, ...listed })
        await manager.save(Bag, {
          id,
          holder: {
            id,
            name: 'changed',
            near: [{ id: id + 20, name: 'new' }],
            far: [{ id: id + 10, name: 'changed' }],
            marks: [{ id: 2 }],
          },
        })
      }
      const relations = { near: true, far: true, marks: true }
      expect(await manager.find(Holder, { relations, order: { id: 'ASC' } })).toEqual(
        ids.map((id) => ({
          id,
          name: 'holder',
          near: [{ id: id + 20, holderId: id, name: 'new' }],
          far: [{ id: id + 10, name: 'changed' }],
          marks: [{ id: 2 }],
        })),
      )
      expect(await manager.count(Near)).toBe(ids.length)
      expect(await manager.countBy(Far, { name: 'far' })).toBe(ids.length)
    })
  })
})
