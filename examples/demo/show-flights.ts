import { And, LessThan, MoreThanOrEqual } from 'typeorm'
import type { ShardedDataSource } from '../../src'
import { Flight } from './flight'
import { cut, field, heading, plural } from './screen'
import { showOperation } from './show-operation'

/** Sharding by month, one table a month: a range of time asks the tables of its months only. */
export const showFlights = async (dataSource: ShardedDataSource, source: readonly Flight[]): Promise<void> => {
  heading('Flights: sharded by the month of departure, one table a month')
  await showRange(dataSource, source)
  await showWorstDelays(dataSource, source)
  await showAverage(dataSource, source)
}

const from = new Date('2001-02-15T00:00:00Z')
const to = new Date('2001-03-15T00:00:00Z')
const where = { departure: And(MoreThanOrEqual(from), LessThan(to)) }
const whereText = "where = { departure: And(MoreThanOrEqual('2001-02-15'), LessThan('2001-03-15')) }"

const inRange = (source: readonly Flight[]): readonly Flight[] =>
  source.filter(({ departure }) => departure >= from && departure < to)

const showRange = async (dataSource: ShardedDataSource, source: readonly Flight[]): Promise<void> => {
  const flights = dataSource.getRepository(Flight)
  const { shards } = await flights.explain({ where })
  await showOperation(dataSource, {
    title: 'Count a range of time that touches two months of six',
    code: [whereText, 'flights.countBy(where)'],
    route: shards,
    run: () => flights.countBy(where),
    isRead: true,
    answer: (total) => [plural(total, 'row')],
    expected: (total) => ({ got: total, wanted: inRange(source).length }),
  })
}

const flightText = ({ origin, destination, departure, delay }: Flight): string =>
  `${origin} → ${destination}, ${departure.toISOString().slice(0, 16).replace('T', ' ')}: ${delay} minutes late`

const showWorstDelays = async (dataSource: ShardedDataSource, source: readonly Flight[]): Promise<void> => {
  const flights = dataSource.getRepository(Flight)
  const page = { where, order: { delay: 'DESC', id: 'ASC' }, take: 3 } as const
  const plan = await flights.explain(page)
  const wanted = [...inRange(source)].sort((a, b) => b.delay - a.delay || a.id - b.id).slice(0, 3)
  await showOperation(dataSource, {
    title: 'Read a page of that range in order',
    code: "flights.find({ where, order: { delay: 'DESC', id: 'ASC' }, take: 3 })",
    route: plan.shards,
    run: () => flights.find(page),
    isRead: true,
    answer: (rows) => rows.map(flightText),
    expected: (rows) => ({ got: rows.map(({ id }) => id), wanted: wanted.map(({ id }) => id) }),
  })
  for (const { node, text } of plan.statements) {
    field(`SQL, node ${node}`.slice(0, 11), cut(text.slice(Math.max(0, text.indexOf(' FROM '))).trim(), 66))
  }
}

const showAverage = async (dataSource: ShardedDataSource, source: readonly Flight[]): Promise<void> => {
  const flights = dataSource.getRepository(Flight)
  const { shards } = await flights.explain()
  const wanted = source.reduce((sum, { delay }) => sum + delay, 0) / source.length
  await showOperation(dataSource, {
    title: 'Average over all months: sums and counts are added, then divided once',
    code: "flights.average('delay')",
    route: shards,
    run: () => flights.average('delay'),
    isRead: true,
    answer: (average) => [`${average?.toFixed(3)} minutes`],
    expected: (average) => ({ got: average?.toFixed(9), wanted: wanted.toFixed(9) }),
  })
}
