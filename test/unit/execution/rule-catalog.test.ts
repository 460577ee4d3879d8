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

describe('the catalog of rules', () => {
  it('knows tables of shards in both layouts, and asks a node once', async () => {
    const asked: string[] = []
    const rules = new RuleCatalog(async (node) => {
      asked.push(node)
      return {
        rows: [
          { schema: 'user_00', name: 't' },
          { schema: 'public', name: 't_01' },
        ],
      }
    })
    const hasRules = await rules.of(['a', 'b'])
    await rules.of(['a'])
    expect(asked).toEqual(['a', 'b'])
    expect(hasRules(shard(0, 'a'), 't')).toBe(true)
    expect(hasRules(shard(0, 'a'), 'o')).toBe(false)
    expect(hasRules(shard(1, 'a'), 't')).toBe(false)
    expect(hasRules(shard(1, 'b', 'table'), 't')).toBe(true)
    rules.forget('a')
    await rules.of(['a', 'b'])
    expect(asked).toEqual(['a', 'b', 'a'])
  })

  it('takes a node that does not answer for one with rules, and asks it again', async () => {
    let answers = false
    const rules = new RuleCatalog(async () => {
      if (answers) return { rows: [] }
      throw new Error('It is down.')
    })
    expect((await rules.of(['a']))(shard(0, 'a'), 't')).toBe(true)
    answers = true
    expect((await rules.of(['a']))(shard(0, 'a'), 't')).toBe(false)
    expect((await rules.of(['a']))(shard(0, 'b'), 't')).toBe(true)
  })
})
