import { describe, expect, it } from 'vitest'
import { ShardedError } from '../../../src/errors/sharded-error'
import { executeWrite, type WriteHost } from '../../../src/execution/execute-write'
import type { TransactionPlan, WriteParts, WritePlan } from '../../../src/planning/write-plan'

const parts = (name: string): WriteParts => ({
  kind: 'write',
  by: 'typeorm',
  shards: [{ name, group: 'g', label: name, index: 0, node: 'a', layout: 'schema' }],
  inRounds: false,
})

const transaction = (source: WritePlan, otherwise?: WritePlan): TransactionPlan => ({
  kind: 'transaction',
  scope: 'transaction',
  nodes: ['a'],
  source,
  otherwise,
  pace: 'at-once',
})

/** A host that notes what it is asked, and fails at some shards. */
function noting({ fails = [], refused = false }: { fails?: readonly string[]; refused?: boolean } = {}) {
  const noted: string[] = []
  const host: WriteHost<string> = {
    write: async (given) => {
      const name = given.by === 'typeorm' ? (given.shards[0]?.name ?? '') : ''
      noted.push(`write ${name}`)
      if (fails.includes(name)) throw new Error(`failed: ${name}`)
      return [name]
    },
    move: async ({ table }) => {
      noted.push(`move ${table}`)
      return [table]
    },
    inTransaction: async ({ nodes }, work) => {
      noted.push(`begin ${nodes.join()}`)
      const results = await work(host).catch((error: unknown) => {
        noted.push('rollback')
        throw error
      })
      noted.push('commit')
      return results
    },
    keepLookups: async (shards) => void noted.push(`lookups of ${shards.map(({ name }) => name).join()}`),
    query: async (statements) => {
      noted.push(...statements.map(({ text }) => `ask ${text}`))
      return statements.map(({ text }) => [{ text }])
    },
    hasRefused: async () => refused,
  }
  return { host, noted }
}

describe('the executor of writes', () => {
  it('keeps lookups inside of the transaction, when the shards are written', async () => {
    const { host, noted } = noting()
    const source = parts('x')
    const shards = source.by === 'typeorm' ? source.shards : []
    expect(await executeWrite(transaction({ kind: 'lookups', source, shards }), host)).toEqual(['x'])
    expect(noted).toEqual(['begin a', 'write x', 'lookups of x', 'commit'])
  })

  it('lets answers decide what follows', async () => {
    const { host, noted } = noting()
    const first = ['one', 'two'].map((text) => ({ node: 'a', shards: ['x'], text, parameters: [] }))
    const rest = { plan: (answers: unknown) => parts(JSON.stringify(answers)) }
    const results = await executeWrite({ kind: 'sequence', first, step: '', rest }, host)
    expect(results).toEqual(['[[{"text":"one"}],[{"text":"two"}]]'])
    expect(noted.slice(0, 2)).toEqual(['ask one', 'ask two'])
  })

  it('runs the other plan in a new transaction only where a node has refused the first', async () => {
    const plan = transaction(parts('x'), transaction(parts('y')))
    const refused = noting({ fails: ['x'], refused: true })
    expect(await executeWrite(plan, refused.host)).toEqual(['y'])
    expect(refused.noted).toEqual(['begin a', 'write x', 'rollback', 'begin a', 'write y', 'commit'])
    const failed = noting({ fails: ['x'] })
    await expect(executeWrite(plan, failed.host)).rejects.toThrow('failed: x')
    expect(failed.noted).toEqual(['begin a', 'write x', 'rollback'])
    const without = noting({ fails: ['x'], refused: true })
    await expect(executeWrite(transaction(parts('x')), without.host)).rejects.toThrow('failed: x')
  })

  it('runs once more, node after node, where a lock was not had soon, on whatever node', async () => {
    const paces: string[] = []
    const waiting: WriteHost<string> = {
      ...noting().host,
      inTransaction: async ({ pace }, work) => {
        paces.push(pace)
        if (pace !== 'in-turn') throw new ShardedError('LOCK_TIMEOUT', 'waited', { details: { node: 'a' } })
        return work(noting().host)
      },
    }
    const plan = transaction(parts('x'))
    const repeatable = { ...plan, pace: 'at-once-first' } as const
    expect(await executeWrite(repeatable, waiting)).toEqual(['x'])
    await expect(executeWrite(plan, waiting)).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    expect(paces).toEqual(['at-once-first', 'in-turn', 'at-once'])
  })

  it('has the host move rows', async () => {
    const { host } = noting()
    const move = { kind: 'move', table: 't', shards: [], targets: [], withChildren: false } as const
    expect(await executeWrite(transaction(move), host)).toEqual(['t'])
  })
})
