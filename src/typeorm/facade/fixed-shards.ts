import type { Shard } from '../../topology/shard'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/** Why a shard cannot move, and what lets it. */
interface Hindrance {
  readonly why: string
  readonly fix: string
}

interface HindranceParts {
  readonly options: ShardedDataSourceOptions
  readonly runtime: ShardRuntime
}

/** What keeps a shard where it is, whatever the servers allow; undefined: nothing does. */
export function hindranceOf(
  { group, label, name }: Pick<Shard, 'group' | 'label' | 'name'>,
  to: string | undefined,
  { options, runtime }: HindranceParts,
): Hindrance | undefined {
  // Notes of what other programs write are of the transactions of one server.
  if (runtime.lookups.notedOf(group).length > 0)
    return {
      why: `triggers of the group ${group} note what lookups, or onDelete: 'application', need`,
      fix: 'Move shards of groups without @GlobalUnique, @LookupIndex and such relations to them.',
    }
  const pins = options.groups?.[group]?.placement
  const pin = pins === undefined || pins === 'even' ? undefined : (pins[label] ?? pins[name])
  if (pin === undefined || pin === to) return undefined
  return {
    why: `the options place it on node ${pin}`,
    fix: `Take it out of groups.${group}.placement first, in all processes: a start would be refused where the two differ.`,
  }
}
