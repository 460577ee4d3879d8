import {
  AfterLoad,
  Column,
  type DataSource,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

let source: DataSource | undefined
let onLoad: (library: Library) => Promise<void> = async () => undefined

@Entity()
@Sharded(hash({ shards: 3 }))
class Library {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  rooms!: number

  @OneToMany(
    () => Shelf,
    (shelf) => shelf.library,
  )
  shelves!: Promise<Shelf[]>

  @AfterLoad()
  async look(): Promise<void> {
    await onLoad(this)
  }
}

@Entity()
@Sharded({ colocatedWith: () => Library })
class Shelf {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @Column('int')
  libraryId!: number

  @Column({ default: '' })
  label!: string

  @ManyToOne(
    () => Library,
    (library) => library.shelves,
    { deferrable: 'INITIALLY DEFERRED' },
  )
  @JoinColumn({ name: 'libraryId' })
  library!: Promise<Library>
}

describe('what is read beside an operation', () => {
  onTargets({ entities: [Library, Shelf], groups: ['library'] }, (target) => {
    const libraries = () => target.dataSource.getRepository(Library)
    const shelves = () => target.dataSource.getRepository(Shelf)
    const six = async () => {
      await libraries().insert([1, 2, 3, 4, 5, 6].map((id) => ({ id })))
      await shelves().insert([1, 2, 3, 4, 5, 6].map((libraryId) => ({ libraryId })))
    }

    beforeEach(() => {
      onLoad = async () => undefined
      source = target.dataSource
    })

    it('a lazy relation, in the transaction of its entity', async () => {
      await six()
      await target.dataSource.transaction(async (manager) => {
        const one = await manager.findOneByOrFail(Library, { id: 2 })
        const all = await manager.find(Library, { order: { id: 'ASC' } })
        const page = await manager.find(Library, { order: { id: 'DESC' }, take: 2 })
        const built = await manager.createQueryBuilder(Library, 'l').orderBy('l.id').getMany()
        await manager.insert(
          Shelf,
          [2, 3, 6].map((libraryId) => ({ libraryId, label: 'new' })),
        )
        const labels = async (library: Library | undefined) =>
          (await library?.shelves)?.map(({ label }) => label).sort()
        expect(await labels(one)).toEqual(['', 'new'])
        expect(await labels(all[2])).toEqual(['', 'new'])
        expect(await labels(page[0])).toEqual(['', 'new'])
        expect(await labels(built[1])).toEqual(['', 'new'])
        const [shelf] = await manager.findBy(Shelf, { libraryId: 3, label: 'new' })
        expect((await shelf?.library)?.id).toBe(3)
      })
    })

    it('a lazy relation of an entity whose transaction has ended', async () => {
      await six()
      const [one, two] = await target.dataSource.transaction((manager) =>
        Promise.all([manager.findOneByOrFail(Library, { id: 2 }), manager.find(Library, { order: { id: 'ASC' } })]),
      )
      await shelves().insert({ libraryId: 2, label: 'later' })
      expect((await one.shelves).length).toBe(2)
      expect((await two[1]?.shelves)?.length).toBe(2)
    })

    it('a relation that a builder loads, in the transaction of its manager', async () => {
      await six()
      await target.dataSource.transaction(async (manager) => {
        await manager.insert(Shelf, { libraryId: 4, label: 'new' })
        const of = (library: unknown) =>
          manager.createQueryBuilder().relation(Library, 'shelves').of(library).loadMany()
        expect(await of({ id: 4 })).toHaveLength(2)
        expect(await of(4)).toHaveLength(2)
        const [shelf] = await manager.findBy(Shelf, { libraryId: 4, label: 'new' })
        const library = await manager.createQueryBuilder().relation(Shelf, 'library').of(shelf).loadOne<Library>()
        expect(library?.id).toBe(4)
      })
    })

    it('a lazy relation of an object that was saved after synchronize()', async () => {
      await target.dataSource.synchronize()
      const library = await libraries().save(Object.assign(new Library(), { id: 7 }))
      await shelves().insert({ libraryId: 7 })
      expect((await library.shelves).length).toBe(1)
    })

    it('listeners of loaded entities that query', async () => {
      await six()
      const counts: number[] = []
      onLoad = async (library) => {
        if (library.rooms === 0) counts.push((await source?.getRepository(Shelf).count()) ?? -1)
      }
      await libraries().find({ order: { id: 'ASC' } })
      await libraries().find({ order: { id: 'ASC' }, take: 2, relations: { shelves: true } })
      await libraries().findBy({ id: 3 })
      expect(counts).toEqual(Array.from({ length: 9 }, () => 6))
    })

    it('a commit that fails, and is rolled back then', async () => {
      const runner = target.dataSource.createQueryRunner()
      await runner.startTransaction()
      await runner.manager.insert(Shelf, { libraryId: 99 })
      await runner.manager.insert(
        Library,
        [1, 2, 3, 4].map((id) => ({ id })),
      )
      await expect(runner.commitTransaction()).rejects.toThrow(QueryFailedError)
      expect(runner.isTransactionActive).toBe(true)
      await runner.rollbackTransaction()
      expect(runner.isTransactionActive).toBe(false)
      expect(await runner.manager.count(Library)).toBe(0)
      await runner.startTransaction()
      await runner.manager.insert(Library, { id: 5 })
      await runner.commitTransaction()
      await runner.release()
      expect(await libraries().count()).toBe(1)
    })

    it('a query whose runner is released before its answer', async () => {
      await six()
      const runner = target.dataSource.createQueryRunner()
      await runner.connect()
      const answers = [runner.query('SELECT count(*)::int AS n FROM "library"'), runner.query('SELECT 1 AS n')]
      await runner.release()
      expect(await Promise.all(answers)).toEqual([[{ n: 6 }], [{ n: 1 }]])
      await expect(runner.query('SELECT 1')).rejects.toThrow(QueryRunnerAlreadyReleasedError)
    })

    it('tables, as one database has them', async () => {
      const runner = target.dataSource.createQueryRunner()
      try {
        expect([
          await runner.hasTable('library'),
          await runner.hasTable('public.shelf'),
          await runner.hasTable('none'),
        ]).toEqual([true, true, false])
        expect([await runner.hasColumn('library', 'rooms'), await runner.hasColumn('library', 'none')]).toEqual([
          true,
          false,
        ])
        const table = await runner.getTable('shelf')
        expect([table?.name, table?.schema]).toEqual(['shelf', 'public'])
        expect(table?.columns.map(({ name }) => name).sort()).toEqual(['id', 'label', 'libraryId'])
        expect(table?.foreignKeys.map((key) => [key.columnNames, key.referencedTableName])).toEqual([
          [['libraryId'], 'library'],
        ])
        expect((await runner.getTables(['library', 'shelf'])).map(({ name }) => name).sort()).toEqual([
          'library',
          'shelf',
        ])
        expect(await runner.getTable('none')).toBeUndefined()
      } finally {
        await runner.release()
      }
    })

    it('save without a transaction: of one statement all rows or none', async () => {
      await libraries().insert({ id: 5 })
      const rows = [1, 2, 3, 4, 6, 7, 8].map((id) => libraries().create({ id }))
      const bad = libraries().create({ id: 9, rooms: 2 ** 40 })
      await expect(libraries().save([...rows, bad], { transaction: false })).rejects.toThrow(QueryFailedError)
      expect(await libraries().count()).toBe(1)
    })
  })
})
