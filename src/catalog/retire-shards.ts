import type { Catalog } from './catalog'
import { changeGroup } from './change-group'
import type { NotedChange } from './node-catalog'

/** Forgets shards of a group: no route leads there any more. Their tables stay. @throws the home node's error */
export async function retireShards(
  catalog: Catalog,
  { group, labels }: { readonly group: string; readonly labels: readonly string[] },
  noted: NotedChange,
): Promise<void> {
  await changeGroup(catalog, { group, noted }, (stored) => {
    const shards = stored.shards.filter(({ label }) => !labels.includes(label))
    return shards.length < stored.shards.length ? { ...stored, shards } : undefined
  })
}
