import 'reflect-metadata'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource, ShardedError } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { type Declaration, many, plain, saveAndFind, sharded, to, viewOf } from './graph'
import { refusals } from './refusals'

describe('what a start refuses', () => {
  let databases: FreshDatabases
  beforeAll(async () => {
    databases = await createDatabases(1)
  })
  afterAll(() => databases?.drop())

  const open = (entities: readonly Declaration[], onDelete?: 'application') =>
    new ShardedDataSource({
      type: 'postgres',
      entities: [...entities],
      ...(onDelete && { onDelete }),
      nodes: { a: { url: databases.nodes[0] ?? '' } },
    })
  const refusalOf = async (entities: readonly Declaration[]): Promise<ShardedError> => {
    const error: unknown = await open(entities)
      .initialize()
      .catch((thrown: unknown) => thrown)
    if (error instanceof ShardedError) return error
    throw error
  }

  it.each(refusals)(
    '$code: $what, and has the ways out that it names',
    async ({ code, fix, refused, ways, byApplication }) => {
      const error = await refusalOf(refused())
      expect([error.code, error.fix]).toEqual([code, fix])
      const byOption = byApplication ? [["onDelete: 'application'", byApplication, 'application'] as const] : []
      for (const [way, entities, onDelete] of [...Object.entries(ways), ...byOption]) {
        const graph = entities()
        const dataSource = await open(graph, onDelete).initialize()
        await dataSource.synchronize()
        await expect(saveAndFind(dataSource, graph), way).resolves.toBeUndefined()
        await dataSource.dropDatabase()
        await dataSource.destroy()
      }
    },
  )

  it('is told in one list, whatever part of the start refuses it', async () => {
    const long = `x${'y'.repeat(62)}`
    const { code, message, details } = await refusalOf([
      sharded('Keyless', { key: [] }),
      sharded('Owner', { columns: { id: { type: 'int', primary: true, generated: 'increment' } }, schema: 'own' }),
      sharded('Paper', {
        relations: { owners: many('Owner'), owner: to('Owner', { onDelete: 'CASCADE' }) },
        options: { layout: 'table' },
        table: long,
      }),
      sharded('Twin', { table: 'home' }),
      sharded('Other', { table: 'home' }),
      plain('Setting'),
      viewOf('Twins', 'SELECT count(*)::int AS n FROM home', true),
    ])
    expect(code).toBe('DECLARATIONS_INVALID')
    const listed = details['refusals'] as readonly ShardedError[] // As DECLARATIONS_INVALID documents it.
    expect(listed.map((one) => [one.code, one.message.split(' ')[0]])).toEqual([
      ['ENTITY_WITHOUT_SHARD_KEY', 'Keyless'],
      ['NAME_INVALID', 'Owner'],
      ['SEQUENCE_ON_SHARDED_ENTITY', 'Owner.id'],
      ['RELATION_ACTION_UNSUPPORTED', 'Paper.owners'],
      ['RELATION_ACTION_UNSUPPORTED', 'Paper.owner'],
      ['NAME_INVALID', 'The'],
      ['NAME_INVALID', 'The'],
      ['NAME_INVALID', 'The'],
      ['VIEW_OVER_SHARDS', 'The'],
    ])
    expect(message.split('\n').slice(1, -1)).toEqual(listed.map((one, index) => `${index + 1}. ${one.message}`))
  })
})
