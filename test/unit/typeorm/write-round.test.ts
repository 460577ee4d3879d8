import { beforeAll, describe, expect, it } from 'vitest'
import { BoundClient } from '../../../src/endpoints/bound-client'
import type { NodeConnection } from '../../../src/endpoints/node-connection'
import { nodeWrites } from '../../../src/planning/node-write'
import { loadParser } from '../../../src/sql/parser'
import type { Shard } from '../../../src/topology/shard'
import { WriteRound } from '../../../src/typeorm/runners/write-round'

const shard = (index: number): Shard => ({
  name: `user_0${index}`,
  group: 'user',
  label: `0${index}`,
  index,
  node: index % 2 ? 'b' : 'a',
  layout: 'schema',
})

const remove = 'DELETE FROM "__shard__"."t" WHERE "x" = $1'

/** A round over connections that note what they are sent, and answer that every shard has lost as many rows as its place says. */
function open(fails: (text: string) => boolean = () => false) {
  const sent: string[] = []
  const refused: string[] = []
  const connection = {
    hasWritten: false,
    query: async (text: string) => {
      sent.push(text)
      if (fails(text)) throw Object.assign(new Error(`failed: ${text}`), { code: '0A000' })
      return { command: 'DELETE', rowCount: 5, rows: [{ n0: '1', n1: '2' }], fields: [], oid: 0 }
    },
  }
  const asked: string[] = []
  const round = new WriteRound({
    transaction: {
      inTime: ({ node, text, parameters }) => {
        asked.push(node)
        return Promise.resolve({ node, text: `${text} AND "on" = '${node}'`, parameters })
      },
    },
    connectionOf: async () => connection as unknown as NodeConnection,
    onRefused: (node) => void refused.push(node),
    plan: (arms) => nodeWrites(arms, { hasOwnTypes: false, hasRules: () => false, maxArms: 128 }),
  })
  const own = () => new BoundClient(connection as unknown as NodeConnection, (text) => `own ${text}`, 'user_00')
  return { round, own, sent, asked, refused, connection }
}

beforeAll(loadParser)

describe('a round of writes', () => {
  it('waits for all parts, and gives each the answer of its shard', async () => {
    const { round, own, sent, connection } = open()
    const parts = [shard(0), shard(2)].map((one) => round.join([one]))
    const [first, second] = parts.map((part) => part.client(own()))
    const one = first?.query(remove, [1])
    expect(sent).toEqual([])
    const two = second?.query(remove, [2])
    expect(await Promise.all([one, two])).toMatchObject([{ rowCount: 1 }, { rowCount: 2 }])
    expect(sent).toHaveLength(1)
    expect(connection.hasWritten).toBe(true)
  })

  it('does not wait for a part that has ended, and lets later statements pass', async () => {
    const { round, own, sent } = open()
    const [a, b] = [round.join([shard(0)]), round.join([shard(2)])]
    const client = a.client(own())
    const answer = client.query(remove, [1])
    b.end()
    expect(await answer).toMatchObject({ rowCount: 5 })
    await client.query('SELECT 1', [])
    expect(sent).toEqual(['DELETE FROM "user_00"."t" WHERE "x" = $1', 'own SELECT 1'])
  })

  it('sends nothing where a part has failed before', async () => {
    const { round, own, sent } = open()
    const [a, b, c] = [round.join([shard(0)]), round.join([shard(2)]), round.join([shard(4)])]
    const answer = a.client(own()).query(remove, [1])
    b.end({ reason: new Error('no') })
    await expect(answer).rejects.toThrow('no')
    await expect(c.client(own()).query(remove, [1])).rejects.toThrow('no')
    expect(sent).toEqual([])
  })

  it('sends the statement of a part to all its shards, with the time of the transaction on other nodes', async () => {
    const { round, own, sent, asked } = open()
    const part = round.join([shard(0), shard(1), shard(2)])
    expect(await part.client(own()).query(remove, [1])).toMatchObject({ rowCount: 1 + 5 + 2 })
    expect(asked).toEqual(['b'])
    expect(sent).toHaveLength(2)
    expect(sent.find((text) => text.includes('user_01'))).toBe(
      `DELETE FROM "user_01"."t" WHERE "x" = $1 AND "on" = 'b'`,
    )
  })

  it('tells the failure of the first node, when all nodes are at rest', async () => {
    const { round, own, refused } = open((text) => text.includes('user_02') || text.includes('user_01'))
    const parts = [shard(0), shard(1), shard(2)].map((one) => round.join([one]))
    const settled = await Promise.allSettled(parts.map((part) => part.client(own()).query(remove, [1])))
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(String((settled[1] as PromiseRejectedResult).reason)).toContain('user_00')
    expect(refused).toEqual(['a'])
  })
})
