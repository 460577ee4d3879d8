import { type EntityMetadata, FindOperator, type ObjectLiteral } from 'typeorm'
import { isPlain } from './find-predicate'

/** When plain TypeORM reads a value: while it makes the SQL, at the call, or when the driver sends it as a parameter. */
export type ReadTime = 'call' | 'sending'

/** Gives the value that the copy has. */
type CopyValue = (value: unknown, readTime: ReadTime) => unknown

/**
 * A copy of a `where` that TypeORM may change: it writes transformed values into the operators it is given, each time
 * anew, and so would transform the caller's twice. The values of columns are those of the caller, unless `copyValue` copies
 * them too.
 */
export function cloneWhere<Where>(
  metadata: EntityMetadata,
  where: Where,
  copyValue: CopyValue = (value) => value,
): Where {
  // A copy is of the type of what it copies.
  return copyCondition({ metadata, copyValue }, where, '') as Where
}

interface Copying {
  readonly metadata: EntityMetadata
  readonly copyValue: CopyValue
}

function copyCondition(copying: Copying, condition: unknown, prefix: string): unknown {
  if (Array.isArray(condition)) return condition.map((branch) => copyCondition(copying, branch, prefix))
  if (!isPlain(condition)) return condition
  // Class instances (an entity as a condition) keep their prototype.
  const copy: ObjectLiteral = Object.create(Object.getPrototypeOf(condition))
  for (const name of Object.keys(condition)) {
    const value: unknown = condition[name]
    copy[name] = isObject(value) ? copyAt(copying, prefix + name, value) : copying.copyValue(value, 'sending')
  }
  return copy
}

function copyAt(copying: Copying, path: string, value: object): unknown {
  const { metadata, copyValue } = copying
  const readTime = metadata.findColumnWithPropertyPathStrict(path)?.transformer ? 'call' : 'sending'
  if (value instanceof FindOperator) return copyOperator(value, readTime, copyValue)
  if (metadata.findEmbeddedWithPropertyPath(path)) return copyCondition(copying, value, `${path}.`)
  const relation = metadata.findRelationWithPropertyPath(path)
  if (relation) return copyCondition({ metadata: relation.inverseEntityMetadata, copyValue }, value, '')
  // An object of the application as a value may have private fields, and no copy: TypeORM hands it on as it is.
  return copyValue(value, readTime)
}

/** The values behind the getters, which look through nested operators; TypeORM keeps them private. */
function copyOperator(
  operator: FindOperator<unknown>,
  readTime: ReadTime,
  copyValue: CopyValue,
): FindOperator<unknown> {
  const clone: FindOperator<unknown> = Object.assign(Object.create(Object.getPrototypeOf(operator)), operator)
  const inner: unknown = Reflect.get(clone, '_value')
  const copyInner = (one: unknown) =>
    one instanceof FindOperator
      ? copyOperator(one, readTime, copyValue)
      : copyValue(one, operator.type === 'jsonContains' ? 'call' : readTime)
  // Each value of such a list is a parameter of its own; any other list is one parameter.
  const isList = Array.isArray(inner) && operator.multipleParameters
  Reflect.set(clone, '_value', isList ? inner.map(copyInner) : copyInner(inner))
  // Those of `Raw`.
  const named: unknown = Reflect.get(clone, '_objectLiteralParameters')
  if (named) Reflect.set(clone, '_objectLiteralParameters', copyValue(named, 'call'))
  return clone
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
