import { describe, expect, it } from 'vitest'
import { connectionBroke } from '../../../src/endpoints/connection-errors'
import { commitTransaction } from '../../../src/transactions/commit-transaction'
import type { Participant } from '../../../src/transactions/participant'

/** `failed`: known to have failed before COMMIT; `aborted`: found out by its answer to COMMIT. */
type Answer = 'ok' | 'aborted' | 'failed' | 'refuses' | 'unknown'

const refusal = new Error('refused')

/** Participants n0, n1 … that answer COMMIT so, and the log of what they were asked. */
function play(answers: readonly Answer[]) {
  const log: string[] = []
  const participants = answers.map((answer, index): Participant => {
    const node = `n${index}`
    return {
      node,
      shards: [`s${index}`],
      isFailed: answer === 'failed',
      isOpen: true,
      mustDecide: false,
      hasEnded: false,
      hasWritten: async () => true,
      query: () => Promise.reject(new Error('there is no second phase')),
      commit: async () => {
        log.push(`commit ${node}`)
        if (answer === 'refuses') throw refusal
        if (answer === 'unknown') throw connectionBroke({ node, shard: undefined }, 'COMMIT', true, new Error('gone'))
        return answer === 'ok'
      },
      rollback: async () => {
        log.push(`rollback ${node}`)
        throw new Error('a rollback that fails changes nothing')
      },
    }
  })
  return {
    log,
    error: commitTransaction(participants).then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  }
}

const partial = (committed: string[], failed: string[], unknown: string[]) => ({
  code: 'PARTIAL_COMMIT',
  details: { committed, failed, unknown },
})

describe('commitTransaction, best effort', () => {
  it.each<readonly [readonly Answer[], object | undefined]>([
    [[], undefined],
    [['ok'], undefined],
    [['ok', 'ok', 'ok'], undefined],
    [['aborted'], undefined],
    [['refuses'], refusal],
    [['unknown'], { code: 'COMMIT_OUTCOME_UNKNOWN' }],
    [['refuses', 'ok'], refusal],
    [['ok', 'refuses', 'ok'], partial(['s0'], ['s1', 's2'], [])],
    [['ok', 'unknown', 'ok'], partial(['s0'], ['s2'], ['s1'])],
    [['unknown', 'ok'], partial([], ['s1'], ['s0'])],
    [['aborted', 'ok'], { code: 'TRANSACTION_ABORTED' }],
    [['ok', 'aborted'], partial(['s0'], ['s1'], [])],
  ])('%j', async (answers, expected) => {
    const { error, log } = play(answers)
    const thrown = await error
    if (expected === undefined) expect(thrown).toBeUndefined()
    else expect(thrown).toMatchObject(expected)
    const stop = answers.findIndex(
      (answer, index) => answer !== 'ok' && (answer !== 'aborted' || answers.length > 1 || index > 0),
    )
    const rest = answers.map((_, index) => (stop < 0 || index <= stop ? `commit n${index}` : `rollback n${index}`))
    expect(log).toEqual(rest)
  })

  it('commits nowhere when a statement is known to have failed on one of several', async () => {
    const { error, log } = play(['ok', 'failed', 'ok'])
    expect(await error).toMatchObject({ code: 'TRANSACTION_ABORTED' })
    expect(log).toEqual(['rollback n0', 'rollback n1', 'rollback n2'])
  })

  it('names a node where no shard took part', async () => {
    const home: Participant = {
      node: 'home',
      shards: [],
      isFailed: false,
      isOpen: true,
      mustDecide: false,
      hasEnded: false,
      hasWritten: async () => true,
      query: () => Promise.reject(new Error('there is no second phase')),
      commit: async () => true,
      rollback: async () => undefined,
    }
    const bad: Participant = { ...home, node: 'b', shards: ['s1'], commit: () => Promise.reject(refusal) }
    await expect(commitTransaction([home, bad])).rejects.toMatchObject({
      details: { committed: ['node home'] },
      cause: refusal,
    })
  })
})
