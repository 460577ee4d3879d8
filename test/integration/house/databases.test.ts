import { Client } from 'pg'
import { describe, expect, inject, it } from 'vitest'
import { createDatabases } from '../../support/databases'

const nameOf = async (url: string): Promise<string> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('SELECT current_database() AS name')
  await client.end()
  return rows[0].name
}

describe('createDatabases', () => {
  it('spreads the nodes over the servers, adds an oracle, and drops all of them', async () => {
    const admins = inject('adminUrls')
    const databases = await createDatabases(3)
    const urls = [...databases.nodes, databases.oracle]
    const portOf = (url: string | undefined): string => new URL(url ?? '').port

    expect(databases.nodes.map(portOf)).toEqual([0, 1, 2].map((index) => portOf(admins[index % admins.length])))
    expect(new Set(await Promise.all(urls.map(nameOf))).size).toBe(4)

    await databases.drop()
    for (const url of urls) await expect(nameOf(url)).rejects.toThrow(/does not exist/)
  })

  it('drops a database that somebody is still connected to', async () => {
    const databases = await createDatabases(1)
    const client = new Client({ connectionString: databases.nodes[0] ?? '' })
    const ended = new Promise((resolve) => client.once('end', resolve))
    client.on('error', () => undefined)
    await client.connect()
    await databases.drop()
    await ended
  })
})
