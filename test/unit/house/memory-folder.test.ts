import { expect, it } from 'vitest'
import { memoryFolder } from '../../support/memory-folder'

it('gives no folder that is not there, or has no room', async () => {
  expect(await memoryFolder('/no/such/folder')).toBeUndefined()
  expect(await memoryFolder('/proc')).toBeUndefined()
})
