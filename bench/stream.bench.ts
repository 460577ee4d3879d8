import type { Bench } from './support/bench'
import { loadItems, openBoth } from './support/data-sources'
import { heapInUse } from './support/interleave'
import { Item } from './support/item'
import { spreadOf } from './support/statistics'

const sizes = { full: { rows: 1_000_000 }, quick: { rows: 100_000 }, tiny: { rows: 200 } }

const warmUpRows = 20_000

/** Rows between two looks at the memory. */
const lookEvery = 20_000

/** All rows in order, one after the other: 16 shards on two nodes. What is in memory at once is what counts. */
export const stream: Bench = {
  name: 'stream',
  async run({ scale, databases }) {
    const { rows } = sizes[scale]
    const both = await openBoth(databases, 2)
    await loadItems(both, databases, rows)
    const items = both.ours.getRepository(Item)
    // The first rows make the code and the pools what they are for any read.
    for await (const _ of items.stream({ order: { createdAt: 'ASC' }, take: warmUpRows }));
    const heapBefore = heapInUse()
    const residentBefore = process.memoryUsage().rss
    let live = heapBefore
    let resident = residentBefore
    let count = 0
    let last = 0
    const started = performance.now()
    for await (const item of items.stream({ order: { createdAt: 'ASC' } })) {
      const time = item.createdAt.getTime()
      if (time < last) throw new Error('The stream is not in order.')
      last = time
      count += 1
      if (count % lookEvery !== 0) continue
      // Before garbage is collected, memory is as much as the engine likes; afterwards it is what the stream holds.
      resident = Math.max(resident, process.memoryUsage().rss)
      live = Math.max(live, heapInUse())
    }
    const seconds = (performance.now() - started) / 1000
    if (count !== rows) throw new Error(`The stream has ${count} of ${rows} rows.`)
    const mebibytes = (bytes: number) => bytes / 2 ** 20
    await both.close()
    return [
      {
        name: `stream of ${rows} rows in order, growth of memory at its peak`,
        unit: 'MiB',
        ...spreadOf([mebibytes(live - heapBefore)]),
        detail: `with garbage ${mebibytes(resident - residentBefore).toFixed(0)} MiB; ${Math.round(rows / seconds)} entities a second`,
        target: { atMost: 64 },
      },
    ]
  },
}
