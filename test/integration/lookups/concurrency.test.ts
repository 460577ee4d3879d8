import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Badge, openPeople, type People, Person } from './people'

const racers = 200

describe('@GlobalUnique under concurrency', () => {
  let both: People
  beforeAll(async () => {
    both = await openPeople()
  })
  beforeEach(() => both.clear())
  afterAll(() => both.close())

  const race = async (work: (index: number) => Promise<unknown>): Promise<readonly (string | undefined)[]> => {
    const settled = await Promise.allSettled(Array.from({ length: racers }, (_, index) => work(index)))
    return settled.map((one) => (one.status === 'fulfilled' ? 'done' : (one.reason as { code?: string }).code))
  }

  it('lets one of 200 inserts of one value win, on whatever shards', async () => {
    const people = both.sharded.getRepository(Person)
    const codes = await race((index) => people.insert({ id: String(index), email: 'one@x' }))
    expect(codes.filter((code) => code === 'done')).toHaveLength(1)
    expect(codes.filter((code) => code === '23505')).toHaveLength(racers - 1)
    expect(await people.find({ select: { id: true, email: true } })).toEqual([
      { id: String(codes.indexOf('done')), email: 'one@x' },
    ])
  })

  it('lets 200 inserts of different values come to their ends: each needs two nodes, whose connections are few', async () => {
    const people = both.sharded.getRepository(Person)
    const codes = await race((index) => people.insert({ id: String(index), email: `${index}@x`, name: `n${index}` }))
    expect(new Set(codes)).toEqual(new Set(['done']))
    expect(await people.count()).toBe(racers)
  })

  it('gives a value from row to row, while it is taken and let go', async () => {
    const people = both.sharded.getRepository(Person)
    await people.insert(Array.from({ length: 20 }, (_, id) => ({ id: String(id) })))
    const codes = await race(async (index) => {
      const id = String(index % 20)
      if (index % 3 === 0) await people.update({ id }, { email: null })
      else await people.update({ id }, { email: 'one@x' })
    })
    expect(new Set(codes)).toEqual(new Set(['done', '23505']))
    expect(await people.countBy({ email: 'one@x' })).toBeLessThanOrEqual(1)
    await people.update({ email: 'one@x' }, { email: null })
    await people.insert({ id: '99', email: 'one@x' })
    await expect(people.insert({ id: '98', email: 'one@x' })).rejects.toMatchObject({ code: '23505' })
  })

  it('leaves no notes behind', async () => {
    const { sharded } = both
    await sharded.getRepository(Person).save({ id: '1', email: 'a', badges: [{ id: 1, code: 'c' }] })
    await sharded.getRepository(Badge).delete({ id: 1 })
    for (const { name } of sharded.shards(Person)) {
      const rows = await sharded.shard(name).query(`SELECT * FROM "__shard__"."person_lookup_capture"`)
      expect(rows).toEqual([])
    }
  })
})
