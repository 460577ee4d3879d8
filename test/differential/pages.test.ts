import type { FindManyOptions } from 'typeorm'
import { In, IsNull, MoreThanOrEqual, Not } from 'typeorm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Page, PageOptions } from '../../src/index'
import { nightlyShareOf } from '../support/share-of'
import { type Item, makeItem, openPageWorld, type PageWorld, values } from './page-world'
import { createRng, type Rng, seedOf } from './rng'

const owners = 12
const rowsOfCase = 60
const seed = Number(process.env['DIFFERENTIAL_SEED'] ?? 20_240_607)

type Find = Pick<FindManyOptions<Item>, 'where' | 'order' | 'relations' | 'select' | 'withDeleted'>
type Options = PageOptions<Item>

type Direction = 'ASC' | 'DESC' | { direction: 'ASC' | 'DESC'; nulls: 'FIRST' | 'LAST' }

/** What can be ordered by: each leads the order of one case where ALL_PAGES is set, every second in `.ci/run`. */
const paths = [...Object.keys(values), 'owner.name', 'owner.id', 'ownerId', 'id']
const leading = nightlyShareOf(paths, 'ALL_PAGES', 2)
const cases = Number(process.env['PAGE_CASES'] ?? leading.length)

/** One to four terms, of columns, embedded columns and the owner's; few values each, so that ties decide often. */
function makeOrder(rng: Rng, first: string): Record<string, unknown> {
  const order: Record<string, unknown> = {}
  const put = (path: string, direction: Direction) => {
    const [name = '', inner] = path.split('.')
    order[name] = inner === undefined ? direction : { ...(order[name] as object | undefined), [inner]: direction }
  }
  const count = 1 + rng.int(4)
  const isUniform = rng.oneIn(3)
  const uniform = rng.oneIn(2) ? 'ASC' : 'DESC'
  for (let index = 0; index < count; index += 1) {
    const direction = isUniform ? uniform : rng.oneIn(2) ? 'ASC' : 'DESC'
    put(
      index === 0 ? first : rng.pick(paths),
      rng.oneIn(3) ? { direction, nulls: rng.oneIn(2) ? 'FIRST' : 'LAST' } : direction,
    )
  }
  return order
}

function makeFind(rng: Rng, first: string): Find {
  const order = rng.oneIn(20) ? {} : makeOrder(rng, first)
  const where = rng.weighted<Find['where'] | undefined>([
    [4, () => undefined],
    [1, () => ({ small: MoreThanOrEqual(2) }) as Find['where']],
    [1, () => ({ ownerId: String(1 + rng.int(owners)) })],
    [1, () => ({ ownerId: In(['1', '2', '3', '4', '5']) })],
    [1, () => [{ ownerId: '2' }, { count: IsNull() }, { word: Not('a') }] as Find['where']],
    [1, () => ({ tags: { word: 'red' } })],
  ])
  const relations = rng.weighted<Find['relations'] | undefined>([
    [4, () => undefined],
    [1, () => ({ owner: true })],
    [1, () => ({ tags: true })],
    [1, () => ({ owner: true, tags: true })],
  ])
  const select = relations || !rng.oneIn(4) ? undefined : { word: true, mood: true }
  return {
    order: order as NonNullable<Find['order']>,
    ...(where !== undefined && { where }),
    ...(relations !== undefined && { relations }),
    ...(select !== undefined && { select: select as NonNullable<Find['select']> }),
  }
}

/** What the database has for the find, in the order that findPage makes total: by the primary key, last term's way. */
async function expectedRows(world: PageWorld, find: Find): Promise<Item[]> {
  const order = { ...(find.order as Record<string, unknown>) }
  const last =
    JSON.stringify(order)
      .match(/ASC|DESC/g)
      ?.at(-1) ?? 'ASC'
  if (!('id' in order)) order['id'] = last
  const select = find.select && { select: { ...find.select, id: true } as Find['select'] }
  return world.oracle.find({ ...find, ...select, order } as FindManyOptions<Item>)
}

/** What a row says, whatever class it is of; related rows have no order. */
function plain(rows: readonly Item[], { select }: Find): unknown[] {
  return rows.map((row) => {
    // The driver reads intervals of one style only.
    const { id, tags, span: _, ...rest } = row as Item & { span: unknown }
    return JSON.parse(
      JSON.stringify({
        ...(select ? {} : { id }),
        ...(tags && { tags: [...tags].sort((a, b) => Number(a.id) - Number(b.id)) }),
        ...rest,
      }),
    )
  })
}

/** Pages one after the other until one says that it is the last; bounded by the rows there can be. */
async function walk(ask: (cursor: string | null) => Promise<Page<Item>>, way: 'forwards' | 'backwards') {
  const pages: Page<Item>[] = []
  for (let cursor: string | null = null; pages.length <= 2 * rowsOfCase; ) {
    const page = await ask(cursor)
    pages.push(page)
    if (way === 'forwards' ? !page.hasNextPage : !page.hasPreviousPage) return pages
    cursor = way === 'forwards' ? page.endCursor : page.startCursor
  }
  throw new Error('The pages have no end.')
}

describe('pages against the list that they are cut from', () => {
  let world: PageWorld
  beforeAll(async () => {
    world = await openPageWorld()
  })
  afterAll(() => world?.end())

  const fill = async (rng: Rng): Promise<void> => {
    await world.empty()
    const names = ['NULL', `'x'`, `'y'`, `'X'`]
    // The last two owners are missing: what is joined of them is NULL.
    await world.insert(
      'owner',
      Array.from({ length: owners - 2 }, (_, index) => ({ id: String(index + 1), name: rng.pick(names) })),
    )
    const items = Array.from({ length: rowsOfCase }, (_, index) => makeItem(rng, 2 * index + 2, owners))
    await world.insert('item', items)
    await world.insert(
      'tag',
      items.flatMap((item, index) =>
        Array.from({ length: rng.int(3) }, (_, nth) => ({
          id: String(3 * index + nth),
          ownerId: item['ownerId'] ?? '',
          itemId: item['id'] ?? '',
          word: rng.pick([`'red'`, `'blue'`]),
        })),
      ),
    )
  }

  test.each(Array.from({ length: cases }, (_, index) => index))(
    'case %i: both ways through all pages give the list',
    async (index) => {
      const rng = createRng(seedOf(seed, 'pages', index))
      if (index % 5 === 0 || index === 0) await fill(createRng(seedOf(seed, 'rows', index)))
      const find = makeFind(rng, leading[index % leading.length] ?? 'id')
      const expected = plain(await expectedRows(world, find), find)
      const take = 1 + rng.int(9)
      const said = JSON.stringify(find)
      const cursors = new Map<string, readonly string[]>()
      for (const { name, items } of world.sides) {
        const ask = (start: object) => items().findPage({ ...find, take, ...start } as Options)
        const forwards = await walk((after) => ask({ after }), 'forwards')
        expect(
          plain(
            forwards.flatMap((page) => page.rows),
            find,
          ),
          `${name}: ${said}`,
        ).toEqual(expected)
        cursors.set(
          name,
          forwards.flatMap((page) => page.edges.map(({ cursor }) => cursor)),
        )
        const backwards = (await walk((before) => ask({ last: true, before }), 'backwards')).reverse()
        expect(
          plain(
            backwards.flatMap((page) => page.rows),
            find,
          ),
          `${name}, backwards: ${said}`,
        ).toEqual(expected)

        // Every page but the last is full, and the page before a page is the one that it came after.
        for (const [at, page] of forwards.entries()) {
          const next = forwards[at + 1]
          expect(page.hasPreviousPage).toBe(at > 0)
          expect(page.edges.map(({ node }) => node)).toEqual(page.rows)
          if (!next) continue
          expect(page.rows).toHaveLength(take)
          if (next.rows.length === 0) continue
          const back = await ask({ before: next.startCursor })
          expect(back.edges, `${name}, back: ${said}`).toEqual(page.edges)
          expect(back.hasPreviousPage).toBe(at > 0)
          expect(back.hasNextPage).toBe(true)
        }
      }
      // A cursor is the same text whichever session wrote it, so that any process takes it. Another entity has others.
      const [other, ...same] = [...cursors.values()]
      for (const list of same) expect(list, said).toEqual(same[0])
      for (const cursor of other ?? []) expect(same[0]).not.toContain(cursor)
    },
    120_000,
  )

  test('a find that selects an enum orders it by its positions, not by its text', async () => {
    await fill(createRng(seedOf(seed, 'enum rows')))
    const find = { select: { id: true, mood: true }, order: { mood: 'ASC', id: 'ASC' }, take: 20 } as object
    const expected = plain(await world.oracle.find(find), {})
    for (const { name, items } of world.sides) expect(plain(await items().find(find), {}), name).toEqual(expected)
  })

  test.each(Array.from({ length: Math.ceil(cases / 8) }, (_, index) => index))(
    'case %i: rows that come and go between pages repeat and skip none that stayed',
    async (index) => {
      const rng = createRng(seedOf(seed, 'changes', index))
      for (const side of world.sides) {
        await fill(createRng(seedOf(seed, 'change rows', index)))
        const { order = {}, relations = {} } = makeFind(rng, rng.pick(paths))
        const find: Find = { order, relations }
        const way = rng.oneIn(2) ? 'forwards' : 'backwards'
        const stayed = new Set((await expectedRows(world, {})).map(({ id }) => id))
        const ever = new Set(stayed)
        const take = 2 + rng.int(6)
        let next = 1
        const pages = await walk(async (cursor) => {
          if (cursor !== null) {
            const some = rng.some([...ever], 6)
            for (const id of some) stayed.delete(id)
            await world.deleteItems(some)
            const added = Array.from({ length: rng.int(5) }, (_, nth) => makeItem(rng, next + 2 * nth, owners))
            next += 2 * added.length
            for (const { id = '' } of added) ever.add(id)
            await world.insert('item', added)
          }
          const start = way === 'forwards' ? { after: cursor } : { last: true, before: cursor }
          return side.items().findPage({ ...find, take, ...start } as Options)
        }, way)
        const ordered = way === 'forwards' ? pages : pages.reverse()
        const seen = ordered.flatMap((page) => page.rows.map(({ id }) => id))
        const said = `${side.name} ${way}: ${JSON.stringify(find)}`
        expect(new Set(seen).size, said).toBe(seen.length)
        const expected = (await expectedRows(world, find)).map(({ id }) => id).filter((id) => stayed.has(id))
        expect(
          seen.filter((id) => stayed.has(id)),
          said,
        ).toEqual(expected)
      }
    },
    120_000,
  )
})
