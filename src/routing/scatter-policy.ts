import { ShardedError } from '../errors/sharded-error'
import type { ShardedEntity } from '../model/sharded-entity'
import { keyText } from './route'

/**
 * Decides whether an operation may reach `width` shards of `total`.
 *
 * @param explicit the caller asked for all shards (`acrossShards()`): only `maxShards` still counts
 * @returns a text to log where the policy is `'warn'`
 * @throws ShardedError SCATTER_FORBIDDEN, SCATTER_TOO_WIDE
 */
export function checkScatter(
  entity: ShardedEntity,
  operation: { readonly name: string; readonly writes: boolean; readonly width: number; readonly explicit: boolean },
): string | undefined {
  const { name, writes, width, explicit } = operation
  if (width <= 1) return undefined
  if (width > entity.scatter.maxShards) {
    throw new ShardedError(
      'SCATTER_TOO_WIDE',
      `${entity.name}.${name} would reach ${width} shards, scatter.maxShards is ${entity.scatter.maxShards}.`,
      { details: { entity: entity.name, operation: name, shards: width } },
    )
  }
  const policy = writes ? entity.scatter.writes : entity.scatter.reads
  if (explicit || policy === 'allow') return undefined
  const text = `${entity.name}.${name} does not narrow ${keyText(entity)} and reaches ${width} shards.`
  if (policy === 'warn') return text
  throw new ShardedError('SCATTER_FORBIDDEN', text, {
    details: { entity: entity.name, operation: name, shards: width },
  })
}
