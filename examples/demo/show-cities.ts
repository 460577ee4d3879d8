import { MoreThan } from 'typeorm'
import type { ShardedDataSource } from '../../src'
import { City } from './city'
import { count, heading, plural } from './screen'
import { showOperation } from './show-operation'

/** Sharding by hash over two nodes: reads and writes of one shard and of all. */
export const showCities = async (dataSource: ShardedDataSource, source: readonly City[]): Promise<void> => {
  heading('Cities: sharded by the hash of the id, one schema a shard')
  await showPointRead(dataSource, source)
  await showPage(dataSource, source)
  await showCountAndSum(dataSource, source)
  await showSave(dataSource)
  await showUpdate(dataSource, source)
  await showRollback(dataSource)
}

const byPopulation = (a: City, b: City): number => b.population - a.population || a.id - b.id

const largest = (source: readonly City[], skip: number, take: number): readonly City[] =>
  [...source].sort(byPopulation).slice(skip, skip + take)

const cityText = ({ name, country, population }: City): string =>
  `${name}, ${country}: ${count(population)} inhabitants`

const showPointRead = async (dataSource: ShardedDataSource, source: readonly City[]): Promise<void> => {
  const cities = dataSource.getRepository(City)
  const [wanted] = largest(source, 0, 1)
  if (wanted === undefined) throw new Error('There are no cities.')
  const { id } = wanted
  await showOperation(dataSource, {
    title: 'Read one row by its key',
    code: `cities.findOneBy({ id: ${id} })`,
    route: (await cities.explain({ where: { id } })).shards,
    run: () => cities.findOneBy({ id }),
    isRead: true,
    answer: (city) => [city ? cityText(city) : 'none'],
    expected: (city) => ({ got: { ...city }, wanted: { ...wanted } }),
  })
}

const showPage = async (dataSource: ShardedDataSource, source: readonly City[]): Promise<void> => {
  const cities = dataSource.getRepository(City)
  const page = { order: { population: 'DESC', id: 'ASC' }, skip: 10, take: 5 } as const
  await showOperation(dataSource, {
    title: 'Read a page in order, over all shards',
    code: "cities.find({ order: { population: 'DESC', id: 'ASC' }, skip: 10, take: 5 })",
    route: (await cities.explain(page)).shards,
    run: () => cities.find(page),
    isRead: true,
    answer: (rows) => rows.map(cityText),
    expected: (rows) => ({ got: rows.map(({ id }) => id), wanted: largest(source, 10, 5).map(({ id }) => id) }),
  })
}

const showCountAndSum = async (dataSource: ShardedDataSource, source: readonly City[]): Promise<void> => {
  const cities = dataSource.getRepository(City)
  const where = { population: MoreThan(1_000_000) }
  const { shards } = await cities.explain({ where })
  const large = source.filter(({ population }) => population > 1_000_000)
  await showOperation(dataSource, {
    title: 'Count over all shards',
    code: 'cities.countBy({ population: MoreThan(1_000_000) })',
    route: shards,
    run: () => cities.countBy(where),
    isRead: true,
    answer: (total) => [plural(total, 'row')],
    expected: (total) => ({ got: total, wanted: large.length }),
  })
  await showOperation(dataSource, {
    title: 'Sum over all shards',
    code: "cities.sum('population', { population: MoreThan(1_000_000) })",
    route: shards,
    run: () => cities.sum('population', where),
    isRead: true,
    answer: (sum) => [`${count(sum ?? 0)} inhabitants`],
    expected: (sum) => ({ got: sum ?? 0, wanted: large.reduce((all, { population }) => all + population, 0) }),
  })
}

const showSave = async (dataSource: ShardedDataSource): Promise<void> => {
  const cities = dataSource.getRepository(City)
  const city = cities.create({
    id: 999_999_999,
    name: 'Neu-Demostadt',
    country: 'DE',
    population: 1,
    longitude: 9.2,
    latitude: 48.8,
    note: null,
  })
  const { slot, shard, node } = dataSource.locate(City, city.id)
  await showOperation(dataSource, {
    title: 'Save a new row: TypeORM’s own save, on the shard of the key',
    code: "cities.save(cities.create({ id: 999_999_999, name: 'Neu-Demostadt', … }))",
    route: [shard],
    run: () => cities.save(city),
    answer: () => [`its hash is slot ${slot} of 16384, which is part of ${shard} on node ${node}`],
  })
}

const showUpdate = async (dataSource: ShardedDataSource, source: readonly City[]): Promise<void> => {
  const cities = dataSource.getRepository(City)
  const { shards } = await cities.explain({ where: { country: 'IS' } })
  await showOperation(dataSource, {
    title: 'Update over all shards: one transaction a node, committed after all succeeded',
    code: "cities.update({ country: 'IS' }, { note: 'northern lights' })",
    route: shards,
    run: () => cities.update({ country: 'IS' }, { note: 'northern lights' }),
    answer: ({ affected }) => [plural(affected ?? 0, 'row')],
    expected: ({ affected }) => ({ got: affected, wanted: source.filter(({ country }) => country === 'IS').length }),
  })
}

const showRollback = async (dataSource: ShardedDataSource): Promise<void> => {
  const cities = dataSource.getRepository(City)
  const { shards } = await cities.explain()
  const change = async (): Promise<void> => {
    await dataSource.transaction(async (manager) => {
      await manager.update(City, { country: 'IS' }, { note: 'never seen' })
      throw new Error('changed my mind')
    })
  }
  await showOperation(dataSource, {
    title: 'Roll a transaction over both nodes back',
    code: 'dataSource.transaction(async (manager) => { await manager.update(…); throw … })',
    route: shards,
    run: async () => {
      await change().catch((error: Error) => {
        if (error.message !== 'changed my mind') throw error
      })
      return cities.countBy({ note: 'never seen' })
    },
    answer: (left) => [`${plural(left, 'row')} changed`],
    expected: (left) => ({ got: left, wanted: 0 }),
  })
}
