import { describe, expect, it } from 'vitest'
import { RuleCatalog } from '../../../src/execution/rule-catalog'
import type { Shard } from '../../../src/topology/shard'

const shard = (index: number, node: string, layout: Shard['layout'] = 'schema'): Shard => ({
  name: `user_0${index}`,
  group: 'user',
  label: `0${index}`,
  index,
  node,
  layout,
})

const atStart = (node: string) =>
  node === 'a' ? [{ schema: 'user_00', name: 't' }] : [{ schema: 'public', name: 't_01' }]

describe('the catalog of rules', () => {
  it('knows tables of shards in both layouts as their nodes said at first', async () => {
    const ask = () => Promise.reject(new Error('Nobody is asked.'))
    const hasRules = await new RuleCatalog({ atStart, ask, learned: () => undefined }).of(['a', 'b'])
    expect(hasRules(shard(0, 'a'), 't')).toBe(true)
    expect(hasRules(shard(0, 'a'), 'o')).toBe(false)
    expect(hasRules(shard(1, 'a'), 't')).toBe(false)
    expect(hasRules(shard(1, 'b', 'table'), 't')).toBe(true)
    expect(hasRules(shard(0, 'c'), 't')).toBe(true)
  })

  it('asks a node anew, which may have rules while it does not answer', async () => {
    let answers: readonly { readonly ruled: string }[] | undefined
    const learned: (readonly [string, unknown])[] = []
    const rules = new RuleCatalog({
      atStart,
      learned: (node, tables) => learned.push([node, tables]),
      ask: async () => {
        if (answers) return { rows: answers }
        throw new Error('It is down.')
      },
    })
    const isRuled = async (table: string) => (await rules.of(['a', 'b']))(shard(0, 'a'), table)
    rules.refresh('a')
    expect(await isRuled('o')).toBe(true)
    answers = [{ ruled: '[{"schema":"user_00","name":"o"}]' }]
    expect(await isRuled('t')).toBe(true)
    expect(await isRuled('t')).toBe(false)
    expect(await isRuled('o')).toBe(true)
    expect(learned).toEqual([['a', [{ schema: 'user_00', name: 'o' }]]])
  })
})
