import { isTreeObject, type TreeObject } from './tree'

/** The text that an expression is: written, the value of a parameter, or a cast of one. */
export function writtenText(object: TreeObject, parameters: readonly unknown[]): string | undefined {
  const { A_Const: found, TypeCast: cast, ParamRef: parameter } = object
  if (isTreeObject(cast)) return isTreeObject(cast['arg']) ? writtenText(cast['arg'], parameters) : undefined
  if (isTreeObject(parameter)) {
    const value = parameters[Number(parameter['number'] ?? 0) - 1]
    return typeof value === 'string' ? value : undefined
  }
  const text = isTreeObject(found) ? found['sval'] : undefined
  return isTreeObject(text) ? String(text['sval'] ?? '') : undefined
}
