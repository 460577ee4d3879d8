import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { pushTo } from '../../collections/push-to'
import type { Row } from '../../merging/row'
import { placeholderSchema } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import type { EntityBinding } from '../binding/entity-binding'
import { type FaultyPlacement, placementFault } from '../binding/row-placement'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'

/** A row that does not belong where it lies. */
export interface MisplacedRow extends FaultyPlacement {
  /** Where it lies. */
  readonly shard: string
  /** Texts of values, as PostgreSQL writes them. */
  readonly primaryKey: readonly (string | null)[]
  readonly shardKey: readonly (string | null)[]
}

/** What was found of one entity. */
export interface PlacementReport {
  readonly entity: string
  /** Rows that were looked at, soft-deleted ones too. */
  readonly rows: number
  /** Those of them that do not belong where they lie. */
  readonly misplaced: number
  /** The first 1,000 of these. */
  readonly listed: readonly MisplacedRow[]
}

/** How far `verifyPlacement` is. */
export interface PlacementProgress {
  readonly entity: string
  /** The shard whose rows are looked at. */
  readonly shard: string
  /** Rows of that shard looked at so far. */
  readonly rows: number
  readonly shardsDone: number
  readonly shards: number
}

/** The options of `verifyPlacement`. */
export interface VerifyPlacementOptions {
  /** Called after every batch of 1,000 rows, and at the end of every shard. */
  readonly onProgress?: (progress: PlacementProgress) => void
  /** Ends the reading at once, on the servers too. */
  readonly signal?: AbortSignal
}

/** Rows that a report lists. */
const maxListed = 1_000

/** The reports of the tables of some entities, one table after the other. @throws the reason of the signal */
export async function verifyPlacements(
  runtime: ShardRuntime,
  bindings: readonly EntityBinding[],
  options: VerifyPlacementOptions,
): Promise<readonly PlacementReport[]> {
  const reports: PlacementReport[] = []
  for (const binding of bindings) {
    options.signal?.throwIfAborted()
    reports.push(await verifyPlacement(new ShardAccess(runtime), binding, options))
  }
  return Object.freeze(reports)
}

/** One binding of each sharded table of entities: children of single-table inheritance stand in their parent's. */
export const tableBindings = (runtime: ShardRuntime, metadatas: readonly EntityMetadata[]): readonly EntityBinding[] =>
  metadatas
    .filter(({ tableType }) => tableType !== 'entity-child')
    .flatMap(({ target }) => runtime.bindingOf(target) ?? [])

/**
 * Looks at every row of an entity on every shard: nodes at once, the shards of a node in turn, each by a cursor, so that one
 * batch a node is held in memory. Nothing is changed. A row is judged by itself, so that writes and moves beside it do no
 * harm: what is committed lies on the shard of its key at each moment.
 *
 * @throws the reason of the signal; what reading throws
 */
async function verifyPlacement(
  access: ShardAccess,
  binding: EntityBinding,
  { onProgress, signal }: VerifyPlacementOptions,
): Promise<PlacementReport> {
  const { shards, entity } = binding
  // The first node that fails ends the others: nothing runs on when this throws.
  const stop = new AbortController()
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const found = { rows: 0, misplaced: 0 }
  const listed: MisplacedRow[] = []
  let shardsDone = 0
  const readShard = async (shard: Shard): Promise<void> => {
    let rows = 0
    const tell = () => onProgress?.({ entity: entity.name, shard: shard.name, rows, shardsDone, shards: shards.length })
    for await (const batch of batchesOf(access, binding, { shard, signal: either })) {
      rows += batch.length
      found.rows += batch.length
      for (const row of batch) {
        const misplaced = misplacedRow(binding, shard, row)
        if (!misplaced) continue
        found.misplaced += 1
        if (listed.length < maxListed) listed.push(misplaced)
      }
      tell()
    }
    shardsDone += 1
    tell()
  }
  const nodes = new Map<string, Shard[]>()
  for (const shard of shards) pushTo(nodes, shard.node, shard)
  const readNode = async (own: readonly Shard[]): Promise<void> => {
    try {
      for (const shard of own) await readShard(shard)
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }
  await Promise.allSettled([...nodes.values()].map(readNode))
  stop.signal.throwIfAborted()
  return Object.freeze({ entity: entity.name, ...found, listed: Object.freeze(listed) })
}

async function* batchesOf(
  access: ShardAccess,
  binding: EntityBinding,
  { shard, signal }: { readonly shard: Shard; readonly signal: AbortSignal },
): AsyncGenerator<readonly Row[], void, undefined> {
  const text = access.runtime.handle(shard).bind(selectOf(binding))
  const group = access.cursors([{ node: shard.node, shards: [shard.name], text, parameters: [] }], { signal })
  try {
    for (const source of group.sources) yield* source
  } finally {
    await group.close()
  }
}

/** The texts of the shard key, of the primary key and of the id, each by its place. */
function selectOf({ metadata, keyColumns, id }: EntityBinding): string {
  const list = (columns: readonly ColumnMetadata[], prefix: string) =>
    columns.map((column, index) => `${textOf(column)} AS "${prefix}${index}"`)
  const selected = [
    ...list(keyColumns, 'k'),
    ...list(metadata.primaryColumns, 'p'),
    ...list(id ? [id.column] : [], 'i'),
  ]
  return `SELECT ${selected.join(', ')} FROM "${placeholderSchema}".${quoted(metadata.tableName)}`
}

/** The text of bytes is another by the session's `bytea_output`. */
const textOf = ({ databaseName, type }: ColumnMetadata): string =>
  type === 'bytea' ? `'\\x' || pg_catalog.encode(${quoted(databaseName)}, 'hex')` : `${quoted(databaseName)}::text`

function misplacedRow(binding: EntityBinding, shard: Shard, row: Row): MisplacedRow | undefined {
  const textsOf = (columns: readonly unknown[], prefix: string) =>
    columns.map((_, index): string | null => {
      const text = row[`${prefix}${index}`]
      return typeof text === 'string' ? text : null
    })
  const shardKey = textsOf(binding.keyColumns, 'k')
  const [id = null] = textsOf([binding.id], 'i')
  const fault = placementFault(binding, shard, { shardKey, id })
  if (!fault) return undefined
  const primaryKey = textsOf(binding.metadata.primaryColumns, 'p')
  return Object.freeze({
    ...fault,
    shard: shard.name,
    primaryKey: Object.freeze(primaryKey),
    shardKey: Object.freeze(shardKey),
  })
}
