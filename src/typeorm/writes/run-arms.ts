import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { bindShardNames } from '../../planning/bind-shard-names'
import { type NodeWrite, nodeWrites } from '../../planning/node-write'
import { maxArms } from '../../planning/scatter-statement'
import type { NodeParts, ShardParts } from '../../planning/write-plan'
import type { Arm } from '../../query/arm-source'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import type { WriteScope } from './shard-write-host'

/**
 * Sends the statements of a plan: in the transaction around it; without one, a statement of one shard on the pool of its node.
 *
 * @returns the results of the shards, in their order
 */
export async function runArms(
  parts: NodeParts | ShardParts,
  { access, inside, onRefused }: WriteScope,
): Promise<readonly QueryResult[]> {
  if (!inside) return Promise.all(parts.arms.map((arm) => access.run(arm.shard, arm)))
  const arms = await inTimeOf(inside.transaction, parts.arms)
  const results = await access.write(await statementsOf(parts, arms, access), { ...inside, arms, onRefused })
  return arms.flatMap(({ shard }) => results.get(shard.name) ?? [])
}

/** The planned statements, made anew where those of shards are told the time. */
async function statementsOf(
  parts: NodeParts | ShardParts,
  arms: readonly Arm[],
  access: ShardAccess,
): Promise<readonly NodeWrite[]> {
  if (parts.by === 'shard') return arms.map(ownWrite)
  if (arms === parts.arms) return parts.statements
  const hasRules = await access.waitFor(access.runtime.rules.of([...new Set(arms.map(({ shard }) => shard.node))]))
  return nodeWrites(arms, { ...parts.united, hasRules, maxArms })
}

const ownWrite = ({ shard, text, parameters }: Arm): NodeWrite => ({
  node: shard.node,
  shards: [shard.name],
  text: bindShardNames(text, shard),
  parameters,
  united: undefined,
})

/** The statements with the time of their transaction. @returns the same where they say none of their own */
async function inTimeOf(transaction: ShardTransaction, arms: readonly Arm[]): Promise<readonly Arm[]> {
  const timed: Arm[] = []
  let last: { readonly of: Arm; readonly arm: Arm } | undefined
  for (const arm of arms) {
    const { shard, text, parameters } = arm
    const isSame =
      last?.of.text === text && last.of.parameters === parameters && last.of.shard.node === shard.node && last.arm
    const told = isSame || (await transaction.inTime({ node: shard.node, text, parameters })) || arm
    const own = told.text === text ? arm : { shard, text: told.text, parameters: told.parameters }
    last = { of: arm, arm: own }
    timed.push(own)
  }
  return timed.every((arm, index) => arm === arms[index]) ? arms : timed
}
