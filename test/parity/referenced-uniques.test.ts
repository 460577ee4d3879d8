import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Film {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') studio!: number
  @OneToOne(
    () => Ban,
    (ban) => ban.film,
  )
  ban!: Relation<Ban> | null
}

/** One for a film, whose id does not say the shard. */
@Entity()
@Sharded({ colocatedWith: () => Film })
class Ban {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') studio!: number
  @OneToOne(
    () => Film,
    (film) => film.ban,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn()
  film!: Relation<Film> | null
}

describe('a unique foreign key without the shard key', () => {
  onTargets({ entities: [Film, Ban], groups: ['film'] }, (target) => {
    it('holds over all shards', async () => {
      const { manager } = target.dataSource
      const films = [1, 2, 3, 4, 5, 6].map((id) => ({ id, studio: id * 7 }))
      await manager.insert(Film, films)
      await manager.save(
        Ban,
        films.map(({ id, studio }) => ({ id: id + 10, studio, film: { id } })),
      )
      await expect(manager.insert(Ban, { id: 30, studio: 14, film: { id: 2 } })).rejects.toMatchObject({
        code: '23505',
      })
      // Not on the shard of the film: there it would be the second one without the database seeing it.
      if (target.shards > 1)
        await expect(manager.insert(Ban, { id: 31, studio: 7, film: { id: 2 } })).rejects.toMatchObject({
          code: expect.stringMatching('23503|23505'),
        })
      await manager.insert(Ban, [
        { id: 40, studio: 7, film: null },
        { id: 41, studio: 7, film: null },
      ])
      const found = await manager.find(Film, { relations: { ban: true }, order: { id: 'ASC' } })
      expect(found.map(({ ban }) => ban?.id)).toEqual([11, 12, 13, 14, 15, 16])
      await manager.delete(Film, { id: 3 })
      expect(await manager.count(Ban)).toBe(7)
    })

    it('is described so', () => {
      const { dataSource } = target
      if (!(dataSource instanceof ShardedDataSource)) return
      const ban = dataSource.describeSharding().entities.find(({ entity }) => entity === 'Ban')
      expect(ban?.parts.find(({ kind }) => kind === 'unique')).toMatchObject({ name: 'film.id', checked: 'everywhere' })
    })
  })
})
