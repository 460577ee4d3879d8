import { sqlState } from '../endpoints/sql-state'
import { onConnection, pause } from '../rebalancing/on-node'
import { tablePath } from '../rebalancing/replication'
import type { ReshardedShard } from '../rebalancing/resharding'
import { forgetNotes, type Notes, noteCount, readNotes } from './capture-changes'
import { type CopySettings, copyTable, putNoted, readNoted, type Side } from './copy-rows'
import { captureSchema } from './resharding-move'
import { type ReshardingSides, type Sides, sendsOf } from './resharding-sides'

/** SQLSTATE of a row whose key another one has. */
const uniqueViolation = '23505'

/** Of two sources, a row may have gone from one to the other between their snapshots. So often it is tried again, after so many milliseconds. */
const tries = 20
const againMs = 50

/** What is copied of the changes that a source has noted. */
export class ChangeDrain {
  constructor(
    private readonly sides: ReshardingSides,
    private readonly settings: Omit<CopySettings, 'targets'>,
  ) {}

  /** Copies what was noted. @param limit of notes; undefined: all of them */
  async drain(sides: Sides, limit: number | undefined): Promise<void> {
    await this.inSnapshots(sides, limit, () => Promise.resolve())
  }

  /**
   * Copies what was noted, in a snapshot of each source. In `work` the targets are what the sources are in these snapshots.
   *
   * @param limit no more notes than so many: then the targets are not, and only primary keys may be unique there
   */
  async inSnapshots<T>(sides: Sides, limit: number | undefined, work: () => Promise<T>): Promise<T> {
    const all = [...sendsOf(sides.sources), ...sendsOf(sides.targets)]
    for (let n = 1; ; n++) {
      for (const send of sendsOf(sides.sources)) await send('BEGIN ISOLATION LEVEL REPEATABLE READ')
      try {
        await this.forget(await this.drainIn(sides, limit))
        const result = await work()
        for (const send of sendsOf(sides.sources)) await send('COMMIT')
        return result
      } catch (error) {
        if (sqlState(error) !== uniqueViolation || sides.sources.length === 1 || n === tries) throw error
      }
      for (const send of all) await send('ROLLBACK')
      await pause(againMs)
    }
  }

  /** @returns the notes that were copied, by source */
  private async drainIn({ sources, targets }: Sides, limit: number | undefined): Promise<ReadonlyMap<Side, Notes>> {
    const settings = { ...this.settings, targets }
    const notes = new Map<Side, Notes>()
    for (const side of sources) notes.set(side, await readNotes(side.send, { schema: this.schemaOf(side) }, limit))
    const truncated = [...notes.values()].flatMap(({ byTable }) =>
      [...byTable].flatMap(([place, { isTruncated }]) => (isTruncated ? [place] : [])),
    )
    for (const place of new Set(truncated)) await this.copyAgain({ sources, targets }, place)
    const noted = await Promise.all([...notes].map(([side, of]) => readNoted(side, of, settings)))
    await putNoted(settings, noted.flat())
    return notes
  }

  /** All rows of a table were taken away at once: it is copied from the beginning. */
  private async copyAgain({ sources, targets }: Sides, place: number): Promise<void> {
    for (const { tables, send } of targets) {
      const table = tables[place]
      if (table) await send(`DELETE FROM ${tablePath(table.table)}`)
    }
    const settings = { ...this.settings, targets, after: undefined, copied: () => Promise.resolve() }
    for (const source of sources) await copyTable(source, place, settings)
  }

  /** Copied is committed by now. */
  private async forget(notes: ReadonlyMap<Side, Notes>): Promise<void> {
    for (const [side, { seqs }] of notes)
      if (seqs.length > 0)
        await onConnection(this.sides.node(side.shard), (send) =>
          forgetNotes(send, { schema: this.schemaOf(side) }, seqs),
        )
  }

  /** Changes that are noted and not copied yet. */
  async count(sources: readonly ReshardedShard[] = this.settings.move.resharding.sources): Promise<number> {
    const counts = sources.map((shard) =>
      onConnection(this.sides.node(shard), (send) => noteCount(send, { schema: this.schemaOf({ shard }) })),
    )
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
  }

  private schemaOf({ shard }: Pick<Side, 'shard'>): string {
    return captureSchema(this.settings.move, shard)
  }
}
