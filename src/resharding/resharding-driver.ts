import type { Row } from '../merging/row'
import { dropMoved, dropTarget, makeTables } from '../rebalancing/make-target'
import { MoveSession, type SessionSettings } from '../rebalancing/move-session'
import { onConnection, pause } from '../rebalancing/on-node'
import { readStructure, readStructureIn } from '../rebalancing/read-structure'
import { tablePath } from '../rebalancing/replication'
import type { ReshardedShard } from '../rebalancing/resharding'
import { readSequences, type SequenceValue, setSequences } from '../rebalancing/sequences'
import { movedSchema, type ShardMove } from '../rebalancing/shard-move'
import {
  missingOfKinds,
  type ShardStructure,
  type StructureKind,
  structureDifferences,
} from '../rebalancing/shard-structure'
import { renameSource } from '../rebalancing/switch-shard'
import { SwitchTries } from '../rebalancing/switch-tries'
import { beginCapture, type Capture, endCapture, isCapturing, readNotes } from './capture-changes'
import { ChangeDrain } from './change-drain'
import { type CopySettings, copyTable, putNoted, readNoted, type Side } from './copy-rows'
import { inTheWay, structureDiffers } from './resharding-errors'
import type { ReshardingHost } from './resharding-host'
import { asResharding, captureName, captureSchema, placed, type ReshardingMove, tablesAt } from './resharding-move'
import { ReshardingSides, sendsOf, whenBusy } from './resharding-sides'
import { nextReshardingStep, type ReshardingFacts, type ReshardingStep } from './resharding-state'
import { kindsAfter, kindsBefore, kindsLast, nameAs, notValid, structureAs, withoutCapture } from './target-structure'
import { compareCopies } from './verify-copies'

type Effect = Exclude<ReshardingStep, 'advance' | 'rest'>

/** Notes that may be left when the rows are compared, and when the locks are taken. */
const maxNotes = 2_000

/** Notes that are read at once as long as no constraint needs all of them. */
const notesAtOnce = 20_000

/** Does the steps of one resharding, as long as it is its driver. `docs/spec/resharding.md` says what another one finds after it. */
export class ReshardingDriver {
  private isVerified = false
  private readonly session: MoveSession
  private readonly tries: SwitchTries
  private readonly sides: ReshardingSides
  private readonly copying: Omit<CopySettings, 'targets'>
  private readonly changes: ChangeDrain

  constructor(
    move: ReshardingMove,
    settings: SessionSettings & { readonly host: ReshardingHost },
    private readonly options: { readonly abandonTarget?: boolean } = {},
  ) {
    this.session = new MoveSession(move, settings)
    this.tries = new SwitchTries(this.session)
    this.sides = new ReshardingSides(this.session, move.resharding)
    this.copying = { move, router: settings.host.router(move) }
    this.changes = new ChangeDrain(this.sides, this.copying)
  }

  get id(): string {
    return this.session.move.id
  }

  private get move(): ReshardingMove {
    return asResharding(this.session.move)
  }

  refresh(): Promise<ShardMove> {
    return this.session.refresh()
  }

  /** Whether nothing has left its place: the switch may then be taken back. */
  async mayStillSettle(): Promise<boolean> {
    return this.move.state === 'switching' && (await this.renamed()).length === 0
  }

  /** Does the next step. @returns false where there is none until somebody asks */
  async step(): Promise<boolean> {
    this.session.signal.throwIfAborted()
    const step = nextReshardingStep(this.move.state, await this.facts())
    if (step === 'rest') return false
    if (step === 'advance') await this.session.advance()
    else {
      await this.session.reach(`resharding:before-${step}`)
      await this.effects[step]()
      await this.session.reach(`resharding:after-${step}`)
    }
    return true
  }

  private readonly effects: Readonly<Record<Effect, () => Promise<void>>> = {
    'make-tables': () => this.makeTables(),
    'begin-capture': () => this.beginCapture(),
    copy: () => this.copy(),
    'make-indexes': () => this.makeParts(kindsAfter),
    drain: () => this.drainNow(),
    verify: () => this.verify(),
    switch: () => this.switch(),
    settle: () => this.settle(),
    'rename-rest': () => this.renameRest(),
    complete: () => this.complete(),
    'commit-epoch': () => this.commitEpoch(),
    'clean-up': () => this.cleanUp(),
    finish: () => this.finish(),
    'remove-targets': () => this.removeTargets(),
  }

  /** Only what the state asks for is looked at. */
  private async facts(): Promise<ReshardingFacts> {
    const { state, memory, resharding } = this.move
    const { sources, tables } = resharding
    const lacks = async (kinds: readonly StructureKind[]): Promise<number> => {
      if (!memory.structures) return 1
      const missing = await Promise.all(resharding.targets.map((target) => this.missing(target, kinds)))
      return missing.flat().length
    }
    const isCapturing = async (): Promise<boolean> => {
      const all = await Promise.all(sources.map((source) => this.isCapturing(source)))
      return all.every(Boolean)
    }
    const renamedSources = state === 'switching' ? (await this.renamed()).length : 0
    const isAllRenamed = renamedSources === sources.length
    return {
      lacksBefore: state === 'planned' ? await lacks(kindsBefore) : 0,
      isCapturing: state === 'planned' && (await isCapturing()),
      copiedTables: memory.copied?.length ?? 0,
      tables: sources.length * tables.length,
      lacksAfter: state === 'copying' ? await lacks(kindsAfter) : 0,
      notes: state === 'catching-up' ? await this.changes.count() : 0,
      maxNotes,
      isVerified: this.isVerified,
      renamedSources,
      sources: sources.length,
      lacksLast: state === 'switching' && isAllRenamed ? await lacks(kindsLast) : 0,
      isEpochCommitted: memory.isEpochCommitted === true,
    }
  }

  private async missing(target: ReshardedShard, kinds: readonly StructureKind[]): Promise<readonly string[]> {
    const wanted = this.move.memory.structures?.[target.label] ?? []
    const found = await readStructure(this.sides.node(target), placed(this.move.resharding, target))
    return missingOfKinds(wanted, validated(found), kinds)
  }

  private async makeTables(): Promise<void> {
    const { resharding } = this.move
    const [source] = resharding.sources
    if (!source) return
    if (!this.move.memory.structures) {
      const structures: Record<string, ShardStructure> = {}
      for (const target of resharding.targets)
        structures[target.label] = await onConnection(this.sides.node(source), (send) =>
          structureAs(send, { resharding, target, bounds: this.session.bounds }),
        )
      const before: Record<string, ShardStructure> = {}
      for (const one of resharding.sources) before[one.label] = await this.structureNow(one)
      await this.session.note({ memory: { structures, sourceStructures: before } })
      await this.session.refresh()
    }
    if (!this.move.memory.isTargetOwn) {
      for (const target of resharding.targets)
        if ((await this.structureNow(target)).length > 0) throw inTheWay(this.move, target)
      await this.session.note({ memory: { isTargetOwn: true } })
      await this.session.refresh()
    }
    await this.makeParts(kindsBefore)
  }

  /** Makes what the targets lack, each in a transaction. */
  private async makeParts(kinds: readonly StructureKind[]): Promise<void> {
    for (const target of this.move.resharding.targets) {
      const statements = await this.missing(target, kinds)
      await this.sides.at(target, (send) => makeTables(send, statements))
    }
  }

  private async structureNow(shard: ReshardedShard): Promise<ShardStructure> {
    const found = await readStructure(this.sides.node(shard), placed(this.move.resharding, shard))
    return withoutCapture(found, captureName(this.move))
  }

  private async beginCapture(): Promise<void> {
    for (const source of this.move.resharding.sources)
      await this.sides.at(source, async (send) => beginCapture(send, await this.captureOf(source), this.session.bounds))
  }

  private async isCapturing(source: ReshardedShard): Promise<boolean> {
    const capture = await this.captureOf(source)
    return onConnection(this.sides.node(source), (send) => isCapturing(send, capture))
  }

  private async captureOf(source: ReshardedShard): Promise<Capture> {
    const tables = await this.sides.tablesOf(source)
    return { schema: captureSchema(this.move, source), name: captureName(this.move), tables }
  }

  private async copy(): Promise<void> {
    const { resharding } = this.move
    let noted = performance.now()
    let rows = this.move.progress.copiedRows ?? 0
    await this.sides.withSides(async ({ sources, targets }) => {
      for (const [number, source] of sources.entries())
        for (const place of resharding.tables.keys()) {
          const name = `${number}.${place}`
          const { copied = [], cursor } = this.move.memory
          if (copied.includes(name)) continue
          await copyTable(source, place, {
            ...this.copying,
            targets,
            after: cursor?.table === name ? cursor.after : undefined,
            copied: async (after, count) => {
              rows += count
              this.session.signal.throwIfAborted()
              await this.session.reach('resharding:chunk-copied')
              if (performance.now() - noted < this.session.bounds.lookEveryMs) return
              noted = performance.now()
              await this.session.note({ memory: { cursor: { table: name, after } }, progress: { copiedRows: rows } })
            },
          })
          await this.session.note({ memory: { copied: [...copied, name] }, progress: { copiedRows: rows } })
          await this.session.refresh()
        }
      // As long as nothing but the primary keys is unique, notes may be taken in parts.
      while ((await this.changes.count()) > notesAtOnce) await this.changes.drain({ sources, targets }, notesAtOnce)
    })
  }

  private async drainNow(): Promise<void> {
    await this.sides.withSides((sides) => this.changes.drain(sides, undefined))
    await this.session.note({ progress: { notes: await this.changes.count() } })
  }

  /** The sources are seen in one snapshot each, the targets after they were given all that these have. */
  private async verify(): Promise<void> {
    let comparedRows = 0
    let noted = performance.now()
    await this.sides.withSides(async (sides) => {
      for (const { tables, send } of sides.targets)
        await send(`ANALYZE ${tables.map(({ table }) => tablePath(table)).join(', ')}`)
      await this.changes.inSnapshots(sides, undefined, () =>
        compareCopies(this.move, sides, {
          rowsPerChunk: this.session.bounds.rowsPerChunk,
          compared: async (rows) => {
            comparedRows += rows
            this.session.signal.throwIfAborted()
            if (performance.now() - noted < this.session.bounds.lookEveryMs) return
            noted = performance.now()
            await this.session.note({ progress: { comparedRows } })
          },
        }),
      )
    })
    await this.session.note({ progress: { comparedRows } })
    this.isVerified = true
  }

  private async switch(): Promise<void> {
    await this.tries.next(() => this.trySwitch(this.move.resharding.sources))
  }

  /** @returns false where a lock was not to be had, or too much was left to be copied */
  private async trySwitch(sources: readonly ReshardedShard[]): Promise<boolean> {
    // What can be copied without locks is copied now.
    for (let rounds = 0; rounds < 5; rounds++) {
      await this.sides.withSides((sides) => this.changes.drain(sides, undefined), sources)
      if ((await this.changes.count(sources)) < maxNotes / 10) break
    }
    const isSwitched = this.sides.withTargets((targets) =>
      this.sides.withLocks({ sources, tries: this.tries }, async (locked) => {
        const locks = performance.now()
        const sides = await Promise.all(sources.map((shard) => this.sides.sideOf(shard, locked(shard))))
        await this.session.reach('resharding:locked')
        const left = await Promise.all(
          sides.map(async (side) => {
            const notes = await readNotes(side.send, { schema: captureSchema(this.move, side.shard) }, undefined)
            return { side, notes }
          }),
        )
        const isTruncated = left.some(({ notes }) => [...notes.byTable.values()].some((table) => table.isTruncated))
        if (isTruncated || performance.now() - locks > this.session.bounds.pauseMs) return false
        const settings = { ...this.copying, targets }
        const noted = await Promise.all(left.map(({ side, notes }) => readNoted(side, notes, settings)))
        await putNoted(settings, noted.flat())
        await this.checkStructures(sides)
        await this.copySequences(sides, targets)
        await this.session.reach('resharding:drained')
        await this.rename(sides)
        await this.session.note({ progress: { pauseMs: Math.round(performance.now() - locks) } })
        return true
      }),
    )
    return isSwitched.catch(whenBusy)
  }

  /** The structure was read when the resharding began. */
  private async checkStructures(sides: readonly Side[]): Promise<void> {
    for (const { shard, send } of sides) {
      const before = this.move.memory.sourceStructures?.[shard.label] ?? []
      const now = withoutCapture(
        await readStructureIn(send, placed(this.move.resharding, shard)),
        captureName(this.move),
      )
      const differences = structureDifferences(before, now)
      if (differences.length > 0) throw structureDiffers(this.move, shard, differences)
    }
  }

  /** Each target goes on where the furthest source is. */
  private async copySequences(sources: readonly Side[], targets: readonly Side[]): Promise<void> {
    const { resharding } = this.move
    const found = await Promise.all(
      sources.map(async ({ shard: source, send }) => ({
        source,
        values: await readSequences(send, placed(resharding, source)),
      })),
    )
    for (const { shard: target, send } of targets) {
      const furthest = new Map<string, SequenceValue>()
      for (const { source, values } of found)
        for (const value of values) {
          const sequence = nameAs(value.sequence, { resharding, source, target })
          const known = furthest.get(tablePath(sequence))
          if (!known || BigInt(known.last) < BigInt(value.last))
            furthest.set(tablePath(sequence), { ...value, sequence })
        }
      await setSequences(send, [...furthest.values()])
    }
  }

  /** First it is stored that sources may be gone: who finds that stored looks for itself. */
  private async rename(sides: readonly Side[]): Promise<void> {
    await this.session.reach('resharding:before-switching')
    if (this.move.state !== 'switching') await this.session.advance()
    await this.session.reach('resharding:after-switching')
    for (const { shard, send } of sides) {
      await send(endCapture({ schema: captureSchema(this.move, shard) }))
      await renameSource(send, this.placedAs(shard))
    }
    for (const send of sendsOf(sides)) {
      await this.session.reach('resharding:before-rename')
      await send('COMMIT')
      await this.session.reach('resharding:after-rename')
    }
  }

  /** A source as a move has it. */
  private placedAs(shard: ReshardedShard): ReshardingMove {
    return { ...this.move, shard: shard.name, tables: tablesAt(this.move.resharding, shard) }
  }

  private async renamed(): Promise<readonly ReshardedShard[]> {
    const found = await Promise.all(
      this.move.resharding.sources.map(async (source) => {
        const { rows } = await this.sides
          .node(source)
          .query('SELECT FROM pg_namespace WHERE nspname = $1', [movedSchema({ id: this.move.id, shard: source.name })])
        return rows.length > 0 ? [source] : []
      }),
    )
    return found.flat()
  }

  /** Makes sure that no other session can still rename a source: this one has the locks that a rename needs. */
  private async settle(): Promise<void> {
    const isLocked = await this.sides
      .withLocks({ sources: this.move.resharding.sources, tries: this.tries }, () => Promise.resolve(true))
      .catch(whenBusy)
    if (isLocked) await this.session.advance({}, 'back')
    else await pause(this.session.bounds.switchEveryMs, this.session.signal)
  }

  /** Some sources are renamed, and some not: these were written to meanwhile, which was noted. */
  private async renameRest(): Promise<void> {
    const done = await this.renamed()
    const left = this.move.resharding.sources.filter((source) => !done.includes(source))
    if (!(await this.trySwitch(left))) await pause(this.session.bounds.switchEveryMs, this.session.signal)
  }

  /** Rows are there, and nobody writes: foreign keys hold, and what acts upon writes begins to. */
  private async complete(): Promise<void> {
    for (const target of this.move.resharding.targets) {
      const statements = await this.missing(target, kindsLast)
      await this.sides.at(target, (send) =>
        makeTables(send, ['SET LOCAL synchronous_commit = on', ...statements.map(notValid)]),
      )
    }
  }

  private async commitEpoch(): Promise<void> {
    await this.session.confirm()
    await this.session.host.commitEpoch(this.move)
    await this.session.reach('resharding:epoch-committed')
    await this.session.note({ memory: { isEpochCommitted: true } })
    await this.session.refresh()
  }

  private async cleanUp(): Promise<void> {
    for (const target of this.move.resharding.targets)
      await this.sides.at(target, async (send) => {
        const { rows } = await send(
          `SELECT format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', n.nspname, c.relname, k.conname) AS statement
           FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE k.contype = 'f' AND NOT k.convalidated AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
          [
            this.placedAs(target).tables.map(({ schema }) => schema),
            this.placedAs(target).tables.map(({ name }) => name),
          ],
        )
        for (const row of rows as readonly Row[]) await send(String(row['statement']))
      })
    await this.session.advance()
  }

  /** Writers are freed of the triggers first of all. */
  private async removeTargets(): Promise<void> {
    const { sources, targets } = this.move.resharding
    for (const source of sources)
      await this.sides.at(
        source,
        async (send) => void (await send(endCapture({ schema: captureSchema(this.move, source) }))),
      )
    await this.session.reach('resharding:capture-removed')
    if (this.move.memory.isTargetOwn && !this.options.abandonTarget)
      for (const target of targets) await this.sides.at(target, (send) => dropTarget(send, this.placedAs(target)))
    await this.session.advance()
  }

  /** Drops what the sources have been. */
  private async finish(): Promise<void> {
    for (const source of this.move.resharding.sources)
      await this.sides.at(source, (send) => dropMoved(send, this.placedAs(source)))
    await this.session.advance()
  }
}

/** Foreign keys are made before all rows are looked at, and are the same as those that were. */
const validated = (structure: ShardStructure): ShardStructure =>
  structure.map((one) => (one.kind === 'foreign key' ? { ...one, make: one.make.replace(/ NOT VALID$/, '') } : one))
