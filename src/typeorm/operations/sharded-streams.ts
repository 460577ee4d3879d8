import type { EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import { bindShardNames } from '../../planning/bind-shard-names'
import { splitKeyedFind } from '../find/apart-loads'
import { followsApart } from '../find/check-relations'
import { loadsIdsApart } from '../find/ids-apart'
import { optionsAtCall } from '../find/options-at-call'
import type { KeyedLoad } from '../hydration/hydrate'
import { type StreamSource, streamEntities } from '../reads/stream-entities'
import { readInTurn } from '../runners/read-cursors'
import type { ShardAccess } from '../runners/shard-access'
import { type ApartContext, keyedLoad } from './apart-reads'
import { type OperationContext, routeRead } from './operation-context'

type Options = FindManyOptions<ObjectLiteral>
type Entities = AsyncGenerator<ObjectLiteral, void, undefined>

/** The entities of a find as they are asked for; on the shard of a hint by that shard's own data source. */
export function stream(
  context: OperationContext,
  given: Options,
  sourceOf: (access: ShardAccess) => StreamSource,
): Entities {
  return streamRouted(context, optionsAtCall(context.binding.metadata, given), sourceOf)
}

/** The same of an unsharded entity. */
export function streamAtHome(
  parts: ApartContext,
  { metadata, given }: { readonly metadata: EntityMetadata; readonly given: Options },
  source: StreamSource,
): Entities {
  const atCall = optionsAtCall(metadata, given)
  return (async function* () {
    const { options, load } = loadedApart(parts, metadata, await atCall)
    yield* streamEntities({ ...source, load }, metadata, options)
  })()
}

/** What a stream reads, and how it loads what lies elsewhere. */
function loadedApart(parts: ApartContext, metadata: EntityMetadata, options: Options) {
  const split = splitKeyedFind(metadata, options)
  const load = split && keyedLoad(parts, { metadata, split })
  return { options: split && load ? split.own : options, load }
}

async function* streamRouted(
  context: OperationContext,
  given: Options | Promise<Options>,
  sourceOf: (access: ShardAccess) => StreamSource,
): Entities {
  const { access, binding, hint } = context
  const parts = { runtime: access.runtime, whole: context.whole }
  const { options, load } = loadedApart(parts, binding.metadata, await given)
  checkLocal(context, options, load)
  const { shards, routed } = await routeRead(context, 'stream', options)
  const source: StreamSource = { ...sourceOf(access), load }
  const [shard] = shards
  if (hint?.kind !== 'shard' || !shard) {
    yield* streamEntities(source, binding.metadata, routed)
    return
  }
  const rows = (text: string, parameters: readonly unknown[]) =>
    readInTurn(access, [{ node: shard.node, shards: [shard.name], text: bindShardNames(text, shard), parameters }])
  const { dataSource } = access.runtime.handle(shard)
  const manager = access.transaction ? dataSource.joining(access.transaction) : dataSource.manager
  yield* streamEntities({ ...source, manager, rows }, binding.metadata, routed)
}

/** Refuses what a read that only the shards answer cannot do. @throws ShardedError CROSS_SHARD_RELATION */
export function checkLocal({ binding }: OperationContext, options: Options, load?: KeyedLoad): void {
  const { metadata } = binding
  if (!followsApart(binding, options) && (load || !loadsIdsApart(metadata, options))) return
  throw new ShardedError(
    'CROSS_SHARD_RELATION',
    `A stream of ${metadata.name} follows a relation to rows elsewhere by a condition, an order, or without its keys.`,
    { details: { entity: metadata.name } },
  )
}
