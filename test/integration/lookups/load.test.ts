import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rowsBetweenPauses } from '../../../src/typeorm/loads/row-load'
import { openPeople, type People, Person } from './people'

const count = 2 * rowsBetweenPauses + 1_000

function* peopleUpTo(end: number): Generator<Partial<Person>> {
  for (let id = 0; id < end; id++) yield { id: String(id), email: `${id}@x` }
}

describe('a load of more rows than are entered into lookups at a time', () => {
  let both: People
  beforeAll(async () => {
    both = await openPeople()
  })
  afterAll(() => both.close())

  const people = () => both.sharded.getRepository(Person)
  /** Of the lookups that have some; none is wrong. */
  const entries = async () => {
    const reports = await both.sharded.verifyLookups()
    for (const { missing, dangling } of reports) expect({ missing, dangling }).toEqual({ missing: [], dangling: [] })
    return reports.flatMap((report) => (report.entries > 0 ? [report.entries] : []))
  }

  it('takes back what it has entered where a later row violates', { timeout: 60_000 }, async () => {
    const rows = function* () {
      yield* peopleUpTo(rowsBetweenPauses + 500)
      yield { id: '999999', email: '7@x' }
    }
    await expect(people().load(rows())).rejects.toMatchObject({
      code: 'LOAD_INCOMPLETE',
      cause: { code: '23505', driverError: { table: 'person' } },
    })
    expect(await people().count()).toBe(0)
    expect(await entries()).toEqual([])
  })

  it('enters them as they come', { timeout: 60_000 }, async () => {
    const taken = new Map<string, number>()
    const stop = both.sharded.onStatement(({ node, text }) => {
      if (/DELETE FROM \S*lookup_capture/.test(text)) taken.set(node, (taken.get(node) ?? 0) + 1)
    })
    const report = await people().load(peopleUpTo(count))
    stop()
    expect(report.rows).toBe(count)
    expect(await entries()).toEqual([count])
    expect([...taken.values()].every((times) => times === 3)).toBe(true)
    expect(taken.size).toBeGreaterThan(1)
    expect(await people().findOneBy({ email: `${count - 1}@x` })).toMatchObject({ id: String(count - 1) })
  })
})

describe('a load that takes longer than a scatter may', () => {
  let both: People
  beforeAll(async () => {
    both = await openPeople({ scatter: { deadlineMs: 1_000 } })
  })
  afterAll(() => both.close())

  const slowly = async function* (first: number) {
    yield { id: String(first), email: `${first}@y` }
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    yield { id: String(first + 1), email: `${first + 1}@y` }
  }

  it('is entered all the same: its time is that of its input', async () => {
    const { rows } = await both.sharded.getRepository(Person).load(slowly(1))
    expect(rows).toBe(2)
    expect(await both.sharded.getRepository(Person).countBy({ email: '2@y' })).toBe(1)
  })

  it('but for a limit that the caller gives', async () => {
    const limited = both.sharded.getRepository(Person).withLimits({ deadlineMs: 500 })
    await expect(limited.load(slowly(3))).rejects.toMatchObject({
      code: 'LOAD_INCOMPLETE',
      cause: { code: 'DEADLINE_EXCEEDED' },
    })
    expect(await both.sharded.getRepository(Person).countBy({ email: '3@y' })).toBe(0)
  })
})
