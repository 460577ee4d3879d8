import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import { bindShardNames } from '../../planning/bind-shard-names'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { Shard } from '../../topology/shard'

/** The statement of a builder as it is sent to one shard. */
export function statementOn(shard: Shard, builder: SelectQueryBuilder<ObjectLiteral>): NodeStatement {
  const [text, parameters] = builder.getQueryAndParameters()
  return Object.freeze({
    node: shard.node,
    shards: Object.freeze([shard.name]),
    text: bindShardNames(text, shard),
    parameters: Object.freeze(Array.isArray(parameters) ? [...parameters] : []),
  })
}
