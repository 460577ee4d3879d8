import { FindOperator } from 'typeorm'

type Fields = Record<string, unknown>

const isFields = (value: unknown): value is Fields =>
  value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype

/**
 * Makes of one object what another is, as far down as both are alike: as an application does that uses an object for its next
 * call.
 */
export function changeInPlace(target: unknown, wanted: unknown): void {
  if (Array.isArray(target) && Array.isArray(wanted)) {
    target.splice(0, target.length, ...wanted.map((one, index) => changed(target[index], one)))
  } else if (target instanceof Date && wanted instanceof Date) {
    target.setTime(wanted.getTime())
  } else if (target instanceof FindOperator && wanted instanceof FindOperator) {
    if (target.type !== wanted.type) return
    changeInPlace(target.child ?? target.value, wanted.child ?? wanted.value)
    changeInPlace(target.objectLiteralParameters, wanted.objectLiteralParameters)
  } else if (isFields(target) && isFields(wanted)) {
    for (const name of Object.keys(target)) if (!(name in wanted)) delete target[name]
    for (const [name, value] of Object.entries(wanted)) target[name] = changed(target[name], value)
  }
}

/** The object itself where it can be changed into the other. */
function changed(target: unknown, wanted: unknown): unknown {
  if (target === null || typeof target !== 'object' || wanted === null || typeof wanted !== 'object') return wanted
  if (Object.getPrototypeOf(target) !== Object.getPrototypeOf(wanted)) return wanted
  if (target instanceof FindOperator && wanted instanceof FindOperator && target.type !== wanted.type) return wanted
  changeInPlace(target, wanted)
  return target
}
