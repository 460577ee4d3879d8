import type { EntityMetadata } from 'typeorm'
import type { EntityBinding } from '../binding/entity-binding'
import { type PlacementReport, type VerifyPlacementOptions, verifyPlacement } from '../reads/verify-placement'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'

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
