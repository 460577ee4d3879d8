import { DataSource, In, type Logger, MoreThan, type ObjectLiteral, type Repository } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource, type StatementEvent } from '../../src/index'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** The statements of plain TypeORM, as it logs them. */
class Recorder implements Logger {
  readonly texts: string[] = []
  logQuery(text: string): void {
    this.texts.push(text)
  }
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}
}

type Repositories = <Entity extends ObjectLiteral>(target: new () => Entity) => Repository<Entity>
type Work = (repositoryOf: Repositories) => Promise<unknown>

/** A schema, or a suffix and the table's own name as alias, is all that tells a shard's statement from the plain one. */
const unbound = (text: string): string =>
  text.replace(/"account_\d+"\./g, '').replace(/"public"\."(\w+)_\d\d"(?: AS "\1")?/g, '"$1"')

describe.each(['schema', 'table'] as const)('statements in the layout %s', (layout) => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource
  const recorder = new Recorder()
  const events: StatementEvent[] = []

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    sharded = new ShardedDataSource({
      type: 'postgres',
      entities: [...bank.entities],
      nodes: { a: { url: a }, b: { url: b } },
      layout,
      groups: { account: { shards: hash({ shards: 4 }) } },
    })
    plain = new DataSource({
      type: 'postgres',
      url: databases.oracle,
      entities: [...bank.entities],
      logger: recorder,
    })
    for (const dataSource of [sharded, plain]) {
      await dataSource.initialize()
      await dataSource.synchronize()
      await dataSource.getRepository(Account).save(twelveAccounts())
      await dataSource.getRepository(Entry).save(ids.map((accountId) => ({ accountId, amount: 1 })))
      await dataSource.getRepository(Setting).save([{ name: 'x' }, { name: 'y' }])
    }
    sharded.onStatement((event) => events.push(event))
  })
  beforeEach(() => {
    events.length = 0
    recorder.texts.length = 0
  })
  afterAll(async () => {
    await sharded.destroy()
    await plain.destroy()
    await databases.drop()
  })

  const accounts = () => sharded.getRepository(Account)
  const ownerOf = (id: string) => sharded.locate(Account, id)
  /** Runs the same on both sides. */
  const both = async (work: Work): Promise<void> => {
    await work((target) => sharded.getRepository(target))
    await work((target) => plain.getRepository(target))
  }
  const perNode = (): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const { node } of events) counts[node] = (counts[node] ?? 0) + 1
    return counts
  }

  const keyed: readonly (readonly [string, Work])[] = [
    ['findOneBy', (of) => of(Account).findOneBy({ id: '5' })],
    [
      'find',
      (of) => of(Account).find({ where: { id: '5', owner: 'b' }, order: { balance: 'DESC' }, take: 3, skip: 0 }),
    ],
    [
      'find with relations and a page',
      (of) => of(Account).find({ where: { id: '5' }, relations: { entries: true }, take: 1 }),
    ],
    ['find of children', (of) => of(Entry).findBy({ accountId: '5' })],
    ['findAndCount', (of) => of(Account).findAndCount({ where: { id: '5' }, take: 1 })],
    ['count', (of) => of(Account).countBy({ id: '5' })],
    ['exists', (of) => of(Account).existsBy({ id: '5' })],
    ['sum', (of) => of(Account).sum('balance', { id: '5' })],
    ['save of a new row', (of) => of(Account).save({ id: '5000', owner: 'n' })],
    ['save of a known row', (of) => of(Account).save({ id: '5', owner: 'changed' })],
    ['insert', (of) => of(Account).insert({ id: '5001', owner: 'n' })],
    ['upsert', (of) => of(Account).upsert({ id: '5', owner: 'u' }, ['id'])],
    ['update', (of) => of(Account).update({ id: '5' }, { owner: 'v' })],
    ['update by id', (of) => of(Account).update('5', { owner: 'w' })],
    ['increment', (of) => of(Account).increment({ id: '5' }, 'balance', 1)],
    ['softDelete', (of) => of(Account).softDelete({ id: '5' })],
    ['restore', (of) => of(Account).restore({ id: '5' })],
    ['delete', (of) => of(Account).delete({ id: '5001' })],
    [
      'save of a loaded row',
      async (of) => of(Account).save({ ...(await of(Account).findOneByOrFail({ id: '5' })), state: 's' }),
    ],
    ['remove', async (of) => of(Account).remove(await of(Account).findOneByOrFail({ id: '5000' }))],
    ['insert of a child', (of) => of(Entry).insert({ accountId: '5', amount: 2 })],
    ['cascade', (of) => of(Account).save({ id: '5002', owner: 'n', entries: [{ amount: 1 }] })],
  ]

  it.each(keyed)('of a keyed %s are those of plain TypeORM, on the key’s node', async (_, work) => {
    await both(work)
    expect(recorder.texts.length).toBeGreaterThan(0)
    expect(events.map(({ text }) => unbound(text))).toEqual(recorder.texts)
    expect(new Set(events.map(({ node }) => node)).size).toBe(1)
  })

  it.each([
    ['find', (of: Repositories) => of(Setting).find({ order: { name: 'ASC' } })],
    ['save', (of: Repositories) => of(Setting).save({ name: 'z' })],
    ['update', (of: Repositories) => of(Setting).update({ name: 'z' }, { value: 2 })],
    ['delete', (of: Repositories) => of(Setting).delete({ name: 'z' })],
  ] as const)('of an unsharded %s are those of plain TypeORM, on the home node', async (_, work) => {
    await both(work)
    expect(events.map(({ text }) => text)).toEqual(recorder.texts)
    expect(Object.keys(perNode())).toEqual(['a'])
  })

  it.each([
    ['find', () => accounts().find()],
    ['an ordered page', () => accounts().find({ order: { owner: 'DESC', balance: 'ASC' }, skip: 2, take: 4 })],
    ['count', () => accounts().count()],
    ['exists', () => accounts().existsBy({ owner: 'nobody' })],
    ['minimum', () => accounts().minimum('balance')],
    ['findOne', () => accounts().findOneBy({ owner: 'c' })],
    ['find by a range', () => accounts().findBy({ balance: MoreThan(50) })],
  ] as const)('of %s over shards are one a node', async (_, work) => {
    await work()
    expect(perNode()).toEqual({ a: 1, b: 1 })
    expect(events.every(({ text }) => text.includes('UNION ALL'))).toBe(true)
  })

  it.each([
    ['sum', () => accounts().sum('balance')],
    ['average', () => accounts().average('balance')],
  ] as const)('of %s over shards are one a node, and one that adds', async (_, work) => {
    await work()
    const [last, ...others] = [...events].reverse()
    expect(others.map(({ node }) => node).sort()).toEqual(['a', 'b'])
    expect(others.every(({ text }) => text.includes('UNION ALL'))).toBe(true)
    expect(last?.text).toContain('unnest')
  })

  it('of an IN list go to the owners only, each with its own values', async () => {
    const some = ['1', '2', '3', '4', '5']
    expect(await accounts().countBy({ id: In(some) })).toBe(5)
    const owners = new Set(some.map((id) => ownerOf(id).node))
    expect(new Set(Object.keys(perNode()))).toEqual(owners)
    const explained = await accounts().explain({ where: { id: In(some) } })
    expect(new Set(explained.shards)).toEqual(new Set(some.map((id) => ownerOf(id).shard)))
    for (const { node, parameters } of explained.statements)
      expect([...parameters].sort()).toEqual(some.filter((id) => ownerOf(id).node === node))
  })

  it('of one shard’s IN list are one', async () => {
    const mine = ids.filter((id) => ownerOf(id).shard === ownerOf('1').shard)
    await accounts().findBy({ id: In(mine) })
    expect(events.map(({ shard }) => shard)).toEqual([ownerOf('1').shard])
  })

  it('of nothing are one', async () => {
    for (const where of [{ id: In([]) }, [{ id: In([]) }, { id: In([]) }]]) {
      events.length = 0
      expect(await accounts().findBy(where)).toEqual([])
      expect(events).toHaveLength(1)
    }
    events.length = 0
    const far = ids.find((id) => ownerOf(id).shard !== ownerOf('1').shard) ?? ''
    expect(await accounts().findBy({ id: In(['1']), entries: { accountId: far } })).toEqual([])
    expect(events).toHaveLength(1)
  })

  it('of a write over shards are one transaction a node', async () => {
    for (const write of [
      () => accounts().update({ balance: MoreThan(0) }, { state: 'a' }),
      () => accounts().updateAll({ state: 'b' }),
      () => accounts().save(twelveAccounts()),
      () => accounts().delete({ owner: 'nobody' }),
    ]) {
      events.length = 0
      await write()
      for (const node of ['a', 'b']) {
        const texts = events.filter((event) => event.node === node).map(({ text }) => text)
        expect(texts[0]).toBe('START TRANSACTION')
        // One node decides, the other is prepared before; where nothing was written, both just end.
        expect(texts.at(-1)).toMatch(/^COMMIT(?: PREPARED|$)/)
        expect(texts.filter((text) => /^(START|COMMIT|ROLLBACK)/.test(text))).toHaveLength(2)
      }
    }
  })

  const writes: readonly (readonly [string, number, (of: Repositories) => Promise<unknown>])[] = [
    ['update', 1, (of) => of(Account).update({ balance: MoreThan(0) }, { state: 'a' })],
    ['updateAll', 1, (of) => of(Account).updateAll({ state: 'b' })],
    ['update by a list of keys', 1, (of) => of(Account).update({ id: In([...ids]) }, { state: 'c' })],
    ['update by ids', 1, (of) => of(Account).update([...ids], { state: 'd' })],
    ['increment', 1, (of) => of(Account).increment({ balance: MoreThan(0) }, 'balance', 1)],
    ['decrement', 1, (of) => of(Account).decrement({ balance: MoreThan(0) }, 'balance', 1)],
    ['softDelete', 1, (of) => of(Account).softDelete({ balance: MoreThan(0) })],
    ['restore', 1, (of) => of(Account).restore({ balance: MoreThan(0) })],
    [
      'update that gives rows',
      1,
      (of) => of(Account).update({ balance: MoreThan(0) }, { state: 'e' }, { returning: ['id'] }),
    ],
    [
      'builder',
      1,
      (of) => of(Account).createQueryBuilder().update().set({ state: 'f' }).where('balance > 0').execute(),
    ],
    ['UPDATE', 1, (of) => of(Account).query('UPDATE account SET state = $1 WHERE balance > $2 RETURNING id', ['g', 0])],
    ['UPDATE of a list', 1, (of) => of(Account).query('UPDATE account SET state = $1 WHERE id = ANY($2)', ['g', ids])],
    ['UPDATE that says FROM', 1, (of) => of(Account).query(`UPDATE account SET state = 'away from here'`)],
    ['UPDATE that gives whole rows', 2, (of) => of(Account).query('UPDATE account SET balance = 1 RETURNING *')],
    ['delete', 1, (of) => of(Entry).delete({ amount: MoreThan(0) })],
    ['deleteAll', 1, (of) => of(Entry).deleteAll()],
    ['DELETE', 1, (of) => of(Entry).query('DELETE FROM entry WHERE amount > 0')],
  ]
  it.each(writes)('of %s over shards are %i a node', async (_, count, work) => {
    await sharded.getRepository(Entry).save(ids.map((accountId) => ({ accountId, amount: 1 })))
    events.length = 0
    await work((target) => sharded.getRepository(target))
    for (const node of ['a', 'b']) {
      const texts = events.filter((event) => event.node === node).map(({ text }) => text)
      const own = texts.filter((text) => /^(?:UPDATE|DELETE|WITH)\b/.test(text))
      expect(own).toHaveLength(count)
      expect(own.every((text) => text.includes('"__w1__" AS (') === (count === 1))).toBe(true)
      // The start, and what a commit in two phases sends: nothing asks whether anything was written.
      expect(texts.filter((text) => !own.includes(text) && !/\bnow\(\)|current_timestamp/i.test(text))).toHaveLength(3)
    }
  })

  it('of a write over nodes ask for the time once, where a column takes it', async () => {
    const timesAsked = () => events.filter(({ text }) => text.includes('now()')).map(({ node, text }) => [node, text])
    const once = [['a', `SELECT to_json(now()) #>> '{}' AS time`]]
    const [here = '', there = ''] = ['a', 'b'].map((node) => ids.find((id) => ownerOf(id).node === node))
    for (const [work, expected] of [
      [() => accounts().save(twelveAccounts().map((row) => ({ ...row, owner: `${row.owner} again` }))), once],
      [() => accounts().insert(['900', '901', '902', '903', '904', '905'].map((id) => ({ id, owner: 'n' }))), once],
      [() => accounts().update({ owner: 'n' }, { state: 'a' }), once],
      [() => accounts().softDelete({ owner: 'n' }), once],
      [() => accounts().delete({ owner: 'n' }), []],
      [() => sharded.getRepository(Entry).insert(ids.map((accountId) => ({ accountId, amount: 1 }))), []],
      [() => accounts().update({ id: here }, { state: 'b' }), []],
      [
        () =>
          sharded.transaction(async (manager) => {
            for (const id of [here, here, there, there]) await manager.update(Account, { id }, { state: 'c' })
            await manager.save(Account, { id: there, owner: 'm' })
          }),
        once,
      ],
      [
        () =>
          sharded.transaction(async (manager) => {
            for (const state of ['d', 'e']) await manager.update(Account, { id: there }, { state })
          }),
        [],
      ],
    ] as const) {
      events.length = 0
      await work()
      expect(timesAsked()).toEqual(expected)
    }
  })

  it('of a transaction on one shard open that node only', async () => {
    await sharded.transaction(async (manager) => {
      await manager.findOneBy(Account, { id: '5' })
      await manager.update(Account, { id: '5' }, { state: 'c' })
    })
    expect(perNode()).toEqual({ [ownerOf('5').node]: 4 })
    events.length = 0
    await sharded.transaction(async () => undefined)
    expect(events).toEqual([])
  })

  it('are prepared from the second time on', async () => {
    for (let round = 0; round < 25; round++) await accounts().findOneBy({ id: '7' })
    expect(events.some(({ prepared }) => prepared)).toBe(true)
    expect(events.every(({ failed, milliseconds }) => !failed && milliseconds >= 0)).toBe(true)
  })

  it('are told to a listener until it is let go', async () => {
    let heard = 0
    const end = sharded.onStatement(() => {
      heard++
    })
    await accounts().count()
    end()
    await accounts().count()
    expect(heard).toBe(2)
  })
})
