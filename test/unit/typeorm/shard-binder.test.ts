import { expect, it } from 'vitest'
import { shardBinder } from '../../../src/typeorm/runners/shard-runtime'

const shard = { name: 'user_07', group: 'user', label: '07', index: 7, node: 'a', layout: 'schema' } as const

it('binds a text to its shard, remembered or not, and an empty one too', () => {
  // So many shards that none has room to remember anything.
  for (const shards of [1, 1e9]) {
    const bind = shardBinder(shard, shards)
    for (let time = 0; time < 2; time++) {
      expect(bind('SELECT 1 FROM "__shard__"."user"')).toBe('SELECT 1 FROM "user_07"."user"')
      expect(bind('')).toBe('')
    }
  }
})
