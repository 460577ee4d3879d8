import { aggregate } from './aggregate.bench'
import { deepPage } from './deep-page.bench'
import { growth } from './growth.bench'
import { insert } from './insert.bench'
import { keyToShard } from './key-to-shard.bench'
import { load } from './load.bench'
import { moveShard } from './move-shard.bench'
import { peers } from './peers.bench'
import { pointRead } from './point-read.bench'
import { requireBench } from './require.bench'
import { routing } from './routing.bench'
import { save } from './save.bench'
import { shardedIds } from './sharded-ids.bench'
import { start } from './start.bench'
import { stream } from './stream.bench'
import type { Bench } from './support/bench'
import { top } from './top.bench'
import { tpch } from './tpch.bench'
import { transaction } from './transaction.bench'
import { unsharded } from './unsharded.bench'
import { writeByCondition } from './write-by-condition.bench'

/** All benches, in the order of the report. */
export const benches: readonly Bench[] = [
  pointRead,
  unsharded,
  keyToShard,
  routing,
  shardedIds,
  top,
  deepPage,
  save,
  insert,
  transaction,
  writeByCondition,
  load,
  aggregate,
  stream,
  start,
  requireBench,
  peers,
  tpch,
  growth,
  moveShard,
]
