import {
  type DataSource,
  type EntityManager,
  type EntitySubscriberInterface,
  EventSubscriber,
  type InsertEvent,
  type UpdateEvent,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenTargets, openTargets } from '../support/targets'
import {
  Book,
  Card,
  Chart,
  Genre,
  libraryEntities,
  libraryGroups,
  Note,
  Plan,
  Room,
  Shelf,
  Tape,
  writeLibrary,
} from './apart-library'

type Told = Pick<InsertEvent<object>, 'dataSource' | 'metadata'> &
  Partial<Pick<UpdateEvent<object>, 'entity' | 'databaseEntity' | 'updatedColumns'>>

/** What subscribers heard, by the data source that told them. */
const heard = new Map<DataSource, string[]>()

function note(what: string, { dataSource, metadata, entity, databaseEntity, updatedColumns = [] }: Told): void {
  const id = entity === undefined ? 'none' : JSON.stringify(Object.values(metadata.getEntityIdMap(entity) ?? {}))
  const columns = updatedColumns.map(({ propertyName }) => propertyName)
  const list = heard.get(dataSource) ?? []
  heard.set(dataSource, list)
  list.push(`${what} ${metadata.name} ${id} ${databaseEntity === undefined ? '' : 'known'} ${columns.join()}`)
}

@EventSubscriber()
class Listener implements EntitySubscriberInterface {
  beforeInsert = (event: Told) => note('before insert', event)
  afterInsert = (event: Told) => note('after insert', event)
  beforeUpdate = (event: Told) => note('before update', event)
  afterUpdate = (event: Told) => note('after update', event)
  beforeRemove = (event: Told) => note('before remove', event)
  afterRemove = (event: Told) => note('after remove', event)
  beforeSoftRemove = (event: Told) => note('before soft remove', event)
  afterSoftRemove = (event: Told) => note('after soft remove', event)
  beforeRecover = (event: Told) => note('before recover', event)
  afterRecover = (event: Told) => note('after recover', event)
}

/** What was told; in which order of rows of several shards, is the shards'. */
function takeHeard(dataSource: DataSource): readonly string[] {
  const list = heard.get(dataSource) ?? []
  heard.delete(dataSource)
  return list.toSorted()
}

const withoutTime = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value ?? null, (name, inner) => (name === 'deletedAt' && inner ? 'then' : inner)))

/** The rows of all tables, each with the name of its table. */
async function contentsOf(dataSource: DataSource): Promise<readonly string[]> {
  const texts: string[] = []
  for (const { tableName } of dataSource.entityMetadatas) {
    const rows: readonly object[] = await dataSource.query(`SELECT * FROM ${tableName}`)
    texts.push(...rows.map((row) => `${tableName} ${JSON.stringify(withoutTime(row))}`))
  }
  return texts.toSorted()
}

type Script = (manager: EntityManager) => Promise<unknown>

const shelf = (manager: EntityManager, id: number, relations: object): Promise<Shelf> =>
  manager.findOneOrFail(Shelf, { where: { id }, relations, withDeleted: true })

const scripts: Readonly<Record<string, Script>> = {
  'what leaves a list refers to nothing, and what comes to it is written': async (manager) => {
    const found = await shelf(manager, 1, { books: true })
    found.books = [...found.books.filter(({ id }) => id !== 11), manager.create(Book, { id: 101, title: 'new' })]
    return (await manager.save(found)).books.map(({ id }) => id).sort()
  },
  'a book goes from one list to another': async (manager) => {
    const [one, other] = [await shelf(manager, 1, { books: true }), await shelf(manager, 2, { books: true })]
    const book = one.books.find(({ id }) => id === 12)
    if (!book) throw new Error('It is there.')
    one.books = one.books.filter(({ id }) => id !== 12)
    other.books.push(book)
    await manager.save([other, one])
    await manager.save([one, other])
  },
  'a list that is empty, or null, has lost all': async (manager) => {
    await manager.save(Shelf, { id: 3, books: [], cards: null as never })
  },
  'what cannot be without its owner is deleted': (manager) =>
    manager.save(Shelf, { id: 1, notes: [{ id: 12 }, { id: 13 }] }),
  'it is deleted, or softly deleted, or left, as the other side says': (manager) =>
    manager.save(Shelf, { id: 2, cards: [{ id: 21, box: 15 }], tapes: [{ id: 22 }], charts: [] }),
  'rows come to a list without a cascade': async (manager) => {
    await manager.save(Shelf, {
      id: 4,
      charts: [{ id: 41 }, { id: 51 }],
      notes: [{ id: 41 }, { id: 42 }, { id: 43 }, { id: 52 }],
    })
    await manager.save(Shelf, { id: 4, tapes: [{ id: 41 }, { id: 42 }, { id: 43 }, { id: 53 }] })
  },
  'an object without a row comes to no list without a cascade': (manager) =>
    manager.save(Shelf, { id: 4, charts: [{ id: 41 }, { id: 51 }, { box: 3 }] }),
  'a cascade that only inserts leaves the rows that are there': (manager) =>
    manager.save(Shelf, {
      id: 4,
      cards: [{ id: 41 }, { id: 42 }, { id: 43 }, { id: 51, box: 36 }, { id: 141, box: 9 }],
    }),
  'rows whose shard key no object has': async (manager) => {
    await manager.save(Shelf, { id: 5, stickers: [{ id: 2 }, { id: 3 }] })
    const found = await shelf(manager, 5, { stickers: true })
    return found.stickers.map(({ id }) => id).toSorted()
  },
  'one to one, it is taken away': (manager) => manager.save(Shelf, { id: 1, plan: null }),
  'one to one, it is given': (manager) => manager.save(Shelf, { id: 1, plan: { id: 1 } }),
  'a list that did not change takes no statement': async (manager) =>
    (await manager.save(await shelf(manager, 5, { books: { pages: true }, notes: true, cards: true }))).books.length,
  'of a save that fails nothing is left': (manager) =>
    manager.save(Shelf, { id: 5, name: null as never, books: [{ id: 51, title: 'renamed' }], cards: [] }),
  'a save that fails in the list leaves nothing': (manager) =>
    manager.save(Shelf, { id: 5, name: 'not kept', notes: [], books: [{ id: 151 }] }),
  'a removal takes what is loaded with it, level after level': async (manager) => {
    const found = await shelf(manager, 6, { books: { pages: true, cover: true }, notes: true, room: true })
    await manager.remove(found.notes)
    await manager.delete(Plan, { shelf: { id: 6 } })
    for (const target of [Card, Tape, Chart]) await manager.update(target, { shelf: { id: 6 } }, { shelf: null })
    const removed = await manager.remove(found)
    return [removed.id, removed.room?.id, removed.books.map(({ id, cover }) => [id, cover?.id])]
  },
  'a removal takes a row of a reference table with it': async (manager) => {
    const added = await manager.save(Shelf, { id: 7, name: 'shelf 7', genre: { id: 7, name: 'genre 7' } })
    const found = await shelf(manager, added.id, { genre: true })
    await manager.remove(found)
    return [found.id, found.genre?.id, await manager.countBy(Genre, { id: 7 })]
  },
  'what is given, and reached too, is removed once': async (manager) => {
    await manager.save(Shelf, { id: 20, name: 'shelf 20', books: [{ id: 201, title: 'book 201' }] })
    const found = await shelf(manager, 20, { books: true })
    await manager.remove([found, ...found.books])
    return [found.id, found.books[0]?.id]
  },
  'what has no row is passed over': async (manager) => {
    await manager.save(Shelf, { id: 21, name: 'shelf 21' })
    const found = await shelf(manager, 21, { books: true })
    found.books.push(manager.create(Book, { title: 'no row' }))
    await manager.remove(found)
  },
  'a removal that fails leaves all': async (manager) => {
    await manager.save(
      Shelf,
      [8, 9].map((id) => ({ id, name: `shelf ${id}`, genre: { id: 8, name: 'genre 8' } })),
    )
    const found = await shelf(manager, 8, { genre: true })
    const failure: unknown = await manager.remove(found).catch((error: unknown) => error)
    if (found.id !== 8 || found.genre?.id !== 8) throw new Error('The objects are changed.')
    throw failure
  },
  'what is put away takes what is loaded with it': async (manager) => {
    const found = await shelf(manager, 4, { books: { pages: true, cover: true }, tapes: true })
    found.tapes = found.tapes.filter(({ id }) => id !== 41)
    await manager.softRemove(found)
    return found.books.map(({ deletedAt, cover }) => [deletedAt !== null, cover?.deletedAt !== null])
  },
  'and comes back with it': async (manager) => {
    const found = await shelf(manager, 4, { books: { pages: true, cover: true }, tapes: true })
    await manager.recover(found)
    return found.books.map(({ deletedAt, cover }) => [deletedAt, cover?.deletedAt])
  },
  'in a transaction that is rolled back nothing is left': async (manager) => {
    const found = await shelf(manager, 4, { books: { pages: true, cover: true }, tapes: true })
    await manager
      .transaction(async (inner) => {
        await inner.save(Shelf, { id: 4, tapes: [], books: [] })
        await inner.remove(found.books)
        throw new Error('It is rolled back.')
      })
      .catch(() => undefined)
    return [await manager.countBy(Tape, { shelf: { id: 4 } }), await manager.countBy(Note, { shelf: { id: 4 } })]
  },
  'by a builder of relations': async (manager) => {
    const books = (id: number) => manager.createQueryBuilder().relation(Shelf, 'books').of(id)
    await books(1).add([21, 22])
    await books(2).remove(23)
    await books(1).addAndRemove([23], [21])
    const of = (id: number) => manager.createQueryBuilder().relation(Book, 'shelf').of(id)
    await of(21).set(5)
    await of(22).set(null)
    await manager.createQueryBuilder().relation(Shelf, 'plan').of(3).set(null)
    await manager.createQueryBuilder().relation(Plan, 'shelf').of({ id: 2 }).set({ id: 3 })
    const found = await books(1).loadMany<Book>()
    const owner = await of(21).loadOne<Shelf>()
    return [found.map(({ id }) => id).toSorted(), owner?.id]
  },
  'a room is removed by itself': (manager) => manager.delete(Room, { id: 6 }),
}

/** A code of the database, else the message. */
async function outcomeOf(script: Script, { manager }: DataSource): Promise<{ value: unknown } | { error: unknown }> {
  try {
    return { value: withoutTime(await script(manager)) }
  } catch (error) {
    const { code, message } = Object(error)
    return { error: code ?? message }
  }
}

describe('lists and cascades over relations to rows elsewhere', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      entities: libraryEntities,
      groups: libraryGroups,
      seed: writeLibrary,
      subscribers: [Listener],
    })
    heard.clear()
  })
  afterAll(() => targets?.close())

  it.each(Object.entries(scripts))('%s', async (_, script) => {
    const expected = await outcomeOf(script, targets.plain)
    const events = takeHeard(targets.plain)
    const contents = await contentsOf(targets.plain)
    for (const { dataSource } of targets.sharded) {
      expect(await outcomeOf(script, dataSource)).toEqual(expected)
      const told = takeHeard(dataSource)
      // Subscribers are told of each part when its turn has come: of an operation that fails not of all.
      if (!('error' in expected)) expect(told).toEqual(events)
      expect(await contentsOf(dataSource)).toEqual(contents)
    }
  })
})
