import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
class Genre {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Film {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') title!: string
  @ManyToOne(() => Genre, { cascade: true }) genre!: Relation<Genre> | null
  @OneToMany(
    () => Rating,
    (rating) => rating.film,
    { cascade: true },
  )
  ratings!: Relation<Rating>[]
  @OneToMany(
    () => Ticket,
    (ticket) => ticket.film,
  )
  tickets!: Relation<Ticket>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Viewer {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToOne(() => Viewer, { cascade: ['insert', 'update'] }) friend!: Relation<Viewer> | null
  @OneToMany(
    () => Rating,
    (rating) => rating.viewer,
    { cascade: true },
  )
  ratings!: Relation<Rating>[]
}

@Entity()
@Sharded({ colocatedWith: () => Viewer })
class Rating {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') viewerId!: number
  @ManyToOne(
    () => Viewer,
    (viewer) => viewer.ratings,
  )
  @JoinColumn({ name: 'viewerId' })
  viewer!: Relation<Viewer>
  @Column('int') stars!: number
  @ManyToOne(
    () => Film,
    (film) => film.ratings,
    { cascade: ['insert'] },
  )
  film!: Relation<Film> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Ticket {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Film,
    (film) => film.tickets,
  )
  film!: Relation<Film> | null
}

const entities = [Genre, Film, Viewer, Rating, Ticket]

describe('saves over relations to rows elsewhere', () => {
  onTargets({ entities, groups: ['film', 'viewer', 'ticket'] }, (target) => {
    const manager = () => target.dataSource.manager
    const rows = async () => ({
      genres: await manager().find(Genre, { order: { id: 'ASC' } }),
      films: await manager().find(Film, { relations: { genre: true }, order: { id: 'ASC' } }),
      viewers: await manager().find(Viewer, { relations: { friend: true }, order: { id: 'ASC' } }),
      ratings: await manager().find(Rating, { relations: { film: true }, order: { id: 'ASC' } }),
    })
    beforeEach(async () => {
      await manager().save(Film, [
        { id: 1, title: 'one', genre: { id: 1, name: 'first' } },
        { id: 2, title: 'two', genre: { id: 2, name: 'second' } },
        { id: 3, title: 'three', genre: null },
      ])
      await manager().save(Viewer, [
        { id: 1, name: 'a', friend: null },
        { id: 2, name: 'b', friend: { id: 1 } },
      ])
    })

    it('write what a row refers to first, by a cascade', async () => {
      await manager().save(Film, { id: 3, genre: { id: 3, name: 'third' } })
      await manager().save(Film, { id: 1, title: 'new', genre: { id: 1, name: 'renamed' } })
      const viewer = await manager().save(Viewer, {
        id: 3,
        name: 'c',
        friend: { id: 4, name: 'd', friend: { id: 2, name: 'e' } },
        ratings: [
          { id: 10, stars: 4, film: { id: 5, title: 'five' } },
          { id: 11, stars: 2, film: { id: 1, title: 'not changed' } },
        ],
      })
      expect(viewer.ratings.map(({ film }) => film?.id)).toEqual([5, 1])
      expect(await rows()).toMatchObject({
        genres: [{ name: 'renamed' }, { name: 'second' }, { name: 'third' }],
        films: [{ title: 'new' }, { title: 'two' }, { title: 'three', genre: { id: 3 } }, { title: 'five' }],
        viewers: [{ friend: null }, { name: 'e', friend: { id: 1 } }, { friend: { id: 4 } }, { friend: { id: 2 } }],
        ratings: [
          { viewerId: 3, film: { title: 'five' } },
          { viewerId: 3, film: { title: 'new' } },
        ],
      })
    })

    it('store the key of what a row refers to, and take it away', async () => {
      const [ticket] = await manager().save(Ticket, [{ id: 1, film: { id: 2 } }])
      expect(await manager().findOne(Ticket, { where: { id: 1 }, relations: { film: true } })).toMatchObject({
        film: { title: 'two' },
      })
      await manager().save(Ticket, { id: ticket?.id ?? 0, film: null })
      expect(await manager().findOne(Ticket, { where: { id: 1 }, relations: { film: true } })).toMatchObject({
        film: null,
      })
    })

    it('leave loaded lists as they are', async () => {
      await manager().save(Ticket, [
        { id: 1, film: { id: 1 } },
        { id: 2, film: { id: 1 } },
      ])
      const films = await manager().find(Film, {
        relations: { tickets: true, ratings: true },
        order: { id: 'ASC', tickets: { id: 'ASC' } },
      })
      for (const film of films) film.title += '!'
      const saved = await manager().save(films)
      expect(saved.map(({ tickets }) => tickets.map(({ id }) => id))).toEqual([[1, 2], [], []])
      expect((await rows()).films.map(({ title }) => title)).toEqual(['one!', 'two!', 'three!'])
      expect(await manager().countBy(Ticket, { film: { id: 1 } })).toBe(2)
    })

    it('write the objects of a list by a cascade', async () => {
      await manager().save(Film, {
        id: 4,
        title: 'four',
        ratings: [
          { id: 20, stars: 1, viewerId: 1 },
          { id: 21, stars: 2, viewerId: 2 },
        ],
      })
      const film = await manager().findOneOrFail(Film, { where: { id: 4 }, relations: { ratings: true } })
      for (const rating of film.ratings) rating.stars = 5
      await manager().save(film)
      expect((await rows()).ratings).toMatchObject([
        { id: 20, stars: 5, viewerId: 1, film: { id: 4 } },
        { id: 21, stars: 5, viewerId: 2, film: { id: 4 } },
      ])
    })
  })
})
