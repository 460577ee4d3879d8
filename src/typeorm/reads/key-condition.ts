import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import type { KeyPair } from '../binding/relation-keys'

/** Keys in one statement, well below the protocol's limit on parameters. */
export const keysOfStatement = 5_000

/** Keys of a relation that rows are to have. */
interface WantedKeys {
  readonly pairs: readonly KeyPair[]
  /** The values of each, as texts. */
  readonly keys: readonly (readonly string[])[]
}

/** Has a query find the rows that belong to keys of a relation. */
export function addKeyCondition(builder: SelectQueryBuilder<ObjectLiteral>, { pairs, keys }: WantedKeys): void {
  const columns = pairs.map(({ far }) => `${builder.escape(builder.alias)}.${builder.escape(far.databaseName)}`)
  if (pairs.length === 1) {
    // One text for any number of keys: what is learnt of a statement is learnt once.
    builder.andWhere(`${columns[0]} = ANY(:apartKeys)`, { apartKeys: keys.map(([key]) => key) })
    return
  }
  const parameters: ObjectLiteral = {}
  const branches = keys.map((key, place) =>
    columns
      .map((column, index) => {
        parameters[`apartKey${place}_${index}`] = key[index]
        return `${column} = :apartKey${place}_${index}`
      })
      .join(' AND '),
  )
  builder.andWhere(`((${branches.join(') OR (')}))`, parameters)
}
