import { expect, it } from 'vitest'
import { collationKey } from '../../../src/query/node-sort-facts'

it.each([
  ['"sv-x-icu"', '"sv-x-icu"'],
  ['pg_catalog."en_US.utf8"', '"en_US.utf8"'],
  ['"pg_catalog"."default"', '"default"'],
  ['German', '"german"'],
  ['mine."a.b""c"', '"mine"."a.b""c"'],
  ['pg_catalog', '"pg_catalog"'],
])('the key of %s is %s', (name, key) => {
  expect(collationKey(name)).toBe(key)
  expect(collationKey(key)).toBe(key)
})
