import { shardArgsStorage } from './shard-args-storage'

/**
 * Marks a column (or a many-to-one relation, for its join column) as the shard key. On several columns the key is
 * composite, in the order of their declaration. Works in embedded and in base classes.
 *
 * @example
 * class Order { @ShardKey() @Column('bigint') userId!: string }
 */
export function ShardKey(): PropertyDecorator {
  return (target, propertyName) => {
    shardArgsStorage().shardKeys.push(Object.freeze({ target: target.constructor, propertyName: String(propertyName) }))
  }
}
