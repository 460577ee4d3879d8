import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 2 }))
class Project {
  @ShardKey() @PrimaryGeneratedColumn('uuid') id!: string
  @Column('text') name!: string
}

/** Its shard key is its join column, which no property has. */
@Entity()
@Sharded({ colocatedWith: () => Project })
@ShardKey({ from: 'project' })
class Term {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ManyToOne(() => Project, { nullable: false }) project!: Relation<Project>
}

@Entity()
@Sharded({ colocatedWith: () => Project })
@ShardKey({ from: 'term' })
class Translation {
  @PrimaryColumn('uuid') termId!: string
  @PrimaryColumn('int') language!: number
  @Column('text') text!: string
  @ManyToOne(() => Term, { onDelete: 'CASCADE' }) @JoinColumn() term!: Relation<Term>
}

describe('a shard key that is a join column without a property', () => {
  onTargets({ entities: [Project, Term, Translation], groups: ['project'] }, (target) => {
    it('is found by children that know the primary key of their parent alone', async () => {
      const { manager } = target.dataSource
      const project = await manager.save(Project, { name: 'atlas' })
      const term = await manager.save(Term, { project })
      await manager.save(Translation, { termId: term.id, language: 1, text: 'one' })
      await manager.insert(Translation, { termId: term.id, language: 2, text: 'two' })
      await manager.transaction(async (inner) => {
        const [later] = await inner.save(Term, [inner.create(Term, { project })])
        await inner.save(Translation, [
          inner.create(Translation, { termId: later?.id ?? '', language: 3, text: 'three' }),
        ])
      })
      await manager.save(Translation, { termId: term.id, language: 1, text: 'uno' })
      const found = await manager.find(Translation, {
        where: { term: { project: { id: project.id } } },
        order: { language: 'ASC' },
      })
      expect(found.map(({ text }) => text)).toEqual(['uno', 'two', 'three'])
    })
  })
})
