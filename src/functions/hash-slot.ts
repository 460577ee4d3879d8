import type { CanonicalKey } from '../values/canonical-key'
import { canonicalTuple } from '../values/canonical-key'

/** The size of the hash space. Part of where rows lie: it can never change. */
export const SLOTS = 16_384
const SEED = 0

type Hash = (text: string, seed: number) => number

let hash: Hash | undefined
let loading: Promise<void> | undefined

/** The package has a build for each module system, and types for ES modules only. */
type XxHash = typeof import('xxhash-wasm', { with: { 'resolution-mode': 'import' }})['default']

const load = async (): Promise<void> => {
  // `import()` of a CommonJS build fails in Jest, which runs it in a context of its own.
  const xxhash: XxHash = require('xxhash-wasm')
  hash = (await xxhash()).h32
}

/** Compiles the hash function, once per process. Await it before the first `slotOfKey`. */
export const loadHash = (): Promise<void> => {
  loading ??= load()
  return loading
}

/** The slot of a key: xxHash32 with seed 0 of the canonical texts in UTF-8, NUL between them, modulo 16,384. */
export const slotOfKey = (key: readonly CanonicalKey[]): number => {
  if (hash === undefined) throw new Error('loadHash() has to be awaited before the first key is hashed.')
  return hash(canonicalTuple(key), SEED) % SLOTS
}
