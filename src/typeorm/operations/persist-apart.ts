import type { EntityManager, ObjectLiteral, RemoveOptions, SaveOptions } from 'typeorm'
import { inTransaction } from '../runners/in-transaction'
import { ObjectSnapshots } from '../runners/object-snapshots'
import type { ShardTransaction } from '../runners/shard-transaction'
import {
  type ApartList,
  apartLists,
  cascadedFrom,
  detachLists,
  referToOwners,
  setRelationIds,
} from '../writes/apart-lists'
import { type BackwardRelations, backwardRelations, turnsOf } from '../writes/backward-relations'
import { type CascadedPart, cascadedParts } from '../writes/cascaded-parts'
import {
  type CascadedReference,
  cascadedReferences,
  type HeldRelation,
  noReferences,
  saveReferences,
} from '../writes/cascaded-references'
import { compareLinks } from '../writes/compare-links'
import { compareLists } from '../writes/compare-lists'
import { deferred } from '../writes/deferred-transaction'
import type { PersistMode } from '../writes/entity-graph'
import type { EntityWriter } from '../writes/entity-writer'
import { oneObjectARow } from '../writes/one-object-a-row'
import { replaceRelations } from '../writes/replace-relations'
import { addLinks, removeLinks } from '../writes/write-links'
import { writeListedRows } from '../writes/write-listed-rows'
import type { OperationContext } from './operation-context'

export interface PersistWork {
  readonly mode: PersistMode
  readonly entities: readonly ObjectLiteral[]
  readonly options: (SaveOptions & RemoveOptions) | undefined
  /** Objects that were saved before, since the entities refer to them. */
  readonly references?: readonly CascadedReference[]
}

/** Writes the entities themselves, with what lies together with them. */
type WriteHere = (context: OperationContext, work: PersistWork) => Promise<void>

/**
 * Writes entities, and by cascades and lists rows elsewhere, in one transaction. What a save refers to, it saves first; what refers to it,
 * it saves last. What is removed, put away or brought back by cascades has calls of its own, what refers to others before these.
 */
export async function persistApart(context: OperationContext, work: PersistWork, write: WriteHere): Promise<void> {
  if (context.binding.metadata.relations.length === 0) return write(context, work)
  const parts = partsOf(context, work)
  if (isNothing(parts)) return write(context, work)
  if (work.mode !== 'save') return persistParts(context, work, { ...parts, write })
  const restore = oneObjectARow(context.binding.metadata, work.entities)
  try {
    await persistParts(context, work, { ...partsOf(context, work), write })
  } finally {
    restore()
  }
}

/** What a write has to do elsewhere. */
interface ApartParts {
  readonly references: readonly CascadedReference[]
  readonly beyond: readonly HeldRelation[]
  readonly written: ReadonlySet<ObjectLiteral>
  readonly backward: BackwardRelations
  readonly before: readonly CascadedPart[]
  readonly after: readonly CascadedPart[]
  readonly lists: readonly ApartList[]
  /** The objects that cascades reach, as they were. */
  readonly snapshots: ObjectSnapshots
}

function partsOf({ access: { runtime }, binding }: OperationContext, { mode, entities }: PersistWork): ApartParts {
  const { metadata } = binding
  const isSave = mode === 'save'
  const snapshots = new ObjectSnapshots()
  const onReach: ObjectSnapshots['keep'] = (object, at) => snapshots.keep(object, at)
  const cascaded = isSave ? cascadedReferences(metadata, entities, runtime) : noReferences
  return {
    ...cascaded,
    backward: backwardRelations(cascaded.references, cascaded.written),
    ...(isSave ? noParts : cascadedParts({ metadata, entities }, { mode, runtime, onReach })),
    lists: apartLists(metadata, entities, { mode, bindingOf: (target) => runtime.bindingOf(target) }),
    snapshots,
  }
}

const isNothing = ({ references, before, after, lists }: ApartParts): boolean =>
  references.length + before.length + after.length + lists.length === 0

async function persistParts(
  context: OperationContext,
  work: PersistWork,
  {
    references,
    beyond,
    written,
    backward,
    before,
    after,
    lists,
    snapshots,
    write,
  }: ApartParts & {
    readonly write: WriteHere
  },
): Promise<void> {
  const { access } = context
  const { options } = work
  const open = options?.transaction === false ? deferred(context.openRunner) : context.openRunner
  try {
    await inTransaction(access, open, async (inner, transaction) => {
      const within: Within = {
        context: { ...context, access: inner },
        transaction,
        snapshots,
        written,
        write: without(beyond, write),
      }
      for (const part of before) await writePart(within, work, part)
      await aroundReferences(within, { references, backward, options }, () =>
        writeWithLists(within, { ...work, references }, [...lists, ...backward.lists]),
      )
      for (const part of after) await writePart(within, work, part)
    })
  } catch (error) {
    snapshots.restore()
    throw error
  }
}

const noParts = { before: [], after: [] }

/** Writes while objects do not show these relations. */
const without =
  (relations: readonly HeldRelation[], write: WriteHere): WriteHere =>
  async (context, work) => {
    const attach = detachLists(relations)
    try {
      await write(context, work)
    } finally {
      attach()
    }
  }

interface Within {
  readonly context: OperationContext
  readonly transaction: ShardTransaction
  readonly snapshots: ObjectSnapshots
  readonly written: ReadonlySet<ObjectLiteral>
  readonly write: WriteHere
}

interface ReferencesOf extends Pick<ApartParts, 'references' | 'backward'> {
  readonly options: SaveOptions | undefined
}

/** Saves what a write refers to before it. Of what refers back to it, lists are left to it, and keys that it makes are stored after it. */
async function aroundReferences(
  { transaction: { manager }, snapshots }: Within,
  { references, backward, options }: ReferencesOf,
  write: () => Promise<void>,
): Promise<void> {
  const saving = { manager, options, snapshots }
  const turns = await turnsOf(references, backward.owners, manager)
  const showing = async (work: () => Promise<void>, lists: BackwardRelations['lists']): Promise<void> => {
    const attach = [detachLists(lists), replaceRelations(turns.shown())]
    try {
      await work()
    } finally {
      for (const one of attach) one()
    }
  }
  await showing(() => saveReferences(turns.before, saving), backward.lists)
  await showing(write, [])
  await showing(() => saveReferences(turns.after, saving), backward.lists)
}

async function writeWithLists(within: Within, work: PersistWork, lists: readonly ApartList[]): Promise<void> {
  const { context, transaction, snapshots, written, write } = within
  if (lists.length === 0) return write(context, work)
  const { mode, options } = work
  const { manager } = transaction
  const bindingOf = (target: unknown) => context.access.runtime.bindingOf(target)
  const isTold = options?.listeners !== false
  const { added, rows } = await compareLists(lists, { manager, mode, bindingOf, written })
  const links = await compareLinks(lists, manager)
  // A foreign key may forbid to remove what is linked.
  if (mode === 'remove') await removeLinks(links.removed, { manager, transaction, isTold })
  const attach = detachLists(lists)
  const forget = referToOwners(added)
  try {
    await write(context, work)
    if (mode === 'save') await saveReferences(cascadedFrom(lists, written), { manager, options, snapshots })
  } finally {
    forget()
    attach()
  }
  await writeListedRows(rows, { manager, transaction, isTold })
  const isLinked = await addLinks(links.added, { manager, transaction, isTold })
  if (mode !== 'remove') await removeLinks(links.removed, { manager, transaction, isTold })
  // Where nothing is to be done, TypeORM leaves objects as they are.
  if (isLinked || links.removed.length + rows.length + added.length > 0) setRelationIds(lists)
}

/** Does the same with objects elsewhere. */
async function writePart(within: Within, { mode, options }: PersistWork, part: CascadedPart): Promise<void> {
  const { context, transaction } = within
  const { runtime } = context.access
  const { metadata, entities } = part
  const { data, listeners } = options ?? {}
  const own = { ...(data !== undefined && { data }), ...(listeners !== undefined && { listeners }) }
  const binding = runtime.bindingOf(metadata.target)
  if (binding) {
    const there: OperationContext = { ...context, binding, hint: undefined }
    const lists = apartLists(metadata, entities, { mode, bindingOf: (target) => runtime.bindingOf(target) })
    await writeWithLists({ ...within, context: there }, { mode, entities, options: own }, lists)
  } else {
    const manager: EntityManager & EntityWriter = transaction.manager
    await manager[mode](metadata.target, [...entities], own)
  }
}
