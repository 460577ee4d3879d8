import { WorkerIds } from '../../../src/catalog/worker-ids'
import { NodePool } from '../../../src/endpoints/node-pool'
import { idLayouts } from '../../../src/ids/id-layout'
import { nextId } from '../../../src/ids/id-maker'

/** What a process that makes ids is asked. */
export interface IdsWanted {
  readonly count: number
  /** Undefined: all slots in turn. */
  readonly slot?: number
}

/** What it made, and the code of the error that ended it. */
export interface IdsMade {
  readonly ids: BigUint64Array
  readonly code: string | undefined
}

// A process of its own: `fork` this file with the URL of the home node, and send it what is wanted.
const home = new NodePool({
  name: 'home',
  pool: { connectionString: process.argv[2], max: 2 },
  maxPrepared: 0,
  onPoolError: () => undefined,
})
const maker = new WorkerIds(home, idLayouts['64-bit'])

process.on('message', async ({ count, slot }: IdsWanted) => {
  const ids = new BigUint64Array(count)
  let made = 0
  let code: string | undefined
  try {
    for (; made < count; made++) ids[made] = BigInt(maker.take(slot) ?? (await nextId(maker, slot)))
  } catch (error) {
    code = String(Reflect.get(Object(error), 'code'))
  }
  process.send?.({ ids: ids.slice(0, made), code } satisfies IdsMade)
})
process.on('disconnect', () => process.exit())
