import type { TreeObject } from './tree'

/** The text that an expression is: written, the value of a parameter, or a cast of one. */
export function writtenText(object: TreeObject, parameters: readonly unknown[]): string | undefined {
  const { A_Const: constant, TypeCast: cast, ParamRef: parameter } = object
  if (cast) return cast.arg && writtenText(cast.arg, parameters)
  if (parameter) {
    const value = parameters[(parameter.number ?? 0) - 1]
    return typeof value === 'string' ? value : undefined
  }
  return constant?.sval && (constant.sval.sval ?? '')
}
