import { Column, Entity, ManyToOne, OneToMany, PrimaryColumn, QueryFailedError } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, type ShardedRepository, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Album {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int')
  year!: number

  @OneToMany(
    () => Track,
    (track) => track.album,
  )
  tracks!: Track[]
}

@Entity()
@Sharded({ colocatedWith: () => Album })
class Track {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  albumId!: number

  @ManyToOne(
    () => Album,
    (album) => album.tracks,
  )
  album!: Album
}

const pages: readonly { readonly take?: number; readonly skip?: number }[] = [
  { take: -2 },
  { skip: -1 },
  { take: -0.4 },
  { take: -0.5 },
  { take: 2.5 },
  { take: 1.4, skip: 0.5 },
  { skip: 1.5 },
  { take: 0 },
  { take: 0, skip: 0 },
  { take: 0, skip: 2 },
  { take: 3, skip: -1 },
  { take: Number.MAX_SAFE_INTEGER, skip: 2 },
  { take: 1e18, skip: 1 },
  { take: 1e21 },
  { skip: 1e18, take: 5 },
  { take: Number.POSITIVE_INFINITY },
]

/** What a read gives: its rows by their ids, or the state that PostgreSQL's refusal has. */
async function outcomeOf(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof QueryFailedError) return `${error.driverError.code}`
    throw error
  }
}

/** The tracks of an album come in no certain order. */
const inOrder = (albums: readonly Album[]): readonly Album[] => {
  for (const { tracks } of albums) tracks?.sort((a, b) => a.id - b.id)
  return albums
}

describe('a page of any number', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      entities: [Album, Track],
      groups: ['album'],
      seed: async ({ manager }) => {
        const ids = Array.from({ length: 9 }, (_, index) => index + 1)
        await manager.insert(
          Album,
          ids.map((id) => ({ id, year: 2000 + (id % 4) })),
        )
        await manager.insert(
          Track,
          ids.flatMap((id) => [1, 2].map((n) => ({ id: id * 10 + n, albumId: id }))),
        )
      },
    })
  })
  afterAll(() => targets.close())

  const order = { year: 'ASC', id: 'ASC' } as const
  const nested = { ...order, tracks: { id: 'ASC' } } as const
  describe.each(pages)('%j', (page) => {
    it.each([
      ['find', (albums) => albums.find({ order, ...page })],
      ['find with a relation', (albums) => albums.find({ relations: { tracks: true }, order: nested, ...page })],
      ['findAndCount', (albums) => albums.findAndCount({ order, ...page })],
      [
        'findOne',
        (albums) => albums.findOne({ where: {}, order, ...(page.skip !== undefined && { skip: page.skip }) } as object),
      ],
      ['count', (albums) => albums.count({ ...page })],
      ['exists', (albums) => albums.exists({ where: { year: 2003 }, ...page })],
      ['exists with a relation', (albums) => albums.exists({ where: { tracks: { id: 92 } }, ...page })],
      [
        'take and skip of a builder',
        (albums) => {
          const builder = albums.createQueryBuilder('a').orderBy('a.year').addOrderBy('a.id')
          return builder.take(page.take).skip(page.skip).getMany()
        },
      ],
      [
        'limit and offset of a builder',
        (albums) => {
          const builder = albums.createQueryBuilder('a').orderBy('a.year').addOrderBy('a.id')
          return builder.limit(page.take).offset(page.skip).getMany()
        },
      ],
    ] as readonly (readonly [string, (albums: ShardedRepository<Album>) => Promise<unknown>])[])(
      '%s',
      async (_, read) => {
        const on = (dataSource: OpenTargets['plain']) =>
          outcomeOf(() => read(dataSource.getRepository(Album) as ShardedRepository<Album>))
        const plain = await on(targets.plain)
        const sharded: Record<string, unknown> = {}
        const expected: Record<string, unknown> = {}
        for (const { name, dataSource } of targets.sharded) {
          sharded[name] = await on(dataSource)
          expected[name] = plain
        }
        expect(sharded).toEqual(expected)
      },
    )
  })

  it.each([2, '2', ' 2 ', 2n, [2], ['2'], [], { valueOf: () => 2 }, true, 'x', '1e1', null])(
    'is the parameter %s of LIMIT, and of OFFSET',
    async (parameter) => {
      for (const page of ['LIMIT $1', 'OFFSET $1']) {
        const on = ({ manager }: OpenTargets['plain']) =>
          outcomeOf(() => manager.query(`SELECT id FROM album ORDER BY id ${page}`, [parameter]))
        const plain = await on(targets.plain)
        for (const { dataSource } of targets.sharded) expect(await on(dataSource)).toEqual(plain)
      }
    },
  )

  it.each(pages)('streams what find gives for %j', async (page) => {
    for (const { dataSource } of targets.sharded) {
      const albums = dataSource.getRepository(Album) as ShardedRepository<Album>
      for (const options of [{ order }, { order, relations: { tracks: true } }]) {
        const found = await outcomeOf(async () => inOrder(await albums.find({ ...options, ...page })))
        const streamed = await outcomeOf(async () => {
          const rows: Album[] = []
          for await (const album of albums.stream({ ...options, ...page })) rows.push(album)
          return inOrder(rows)
        })
        expect(streamed).toEqual(found)
      }
    }
  })
})
