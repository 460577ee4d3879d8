import * as typeorm from 'typeorm'

/** `{ "In": [[1, 2]] }` is `In([1, 2])`: find operators by their names. */
const operators: Readonly<Record<string, (...args: never[]) => unknown>> = {
  ...Object.fromEntries(
    [
      'In',
      'Not',
      'LessThan',
      'MoreThan',
      'LessThanOrEqual',
      'MoreThanOrEqual',
      'Between',
      'Like',
      'ILike',
      'IsNull',
      'Equal',
      'Any',
      'Or',
      'And',
      'Raw',
    ].map((name) => [name, Reflect.get(typeorm, name) as (...args: never[]) => unknown]),
  ),
  Date: (text: never) => new Date(text),
}

/** A JSON value with find operators and dates in it. */
export function decoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decoded)
  if (value === null || typeof value !== 'object') return value
  const [[name = '', args] = [], another] = Object.entries(value)
  const operator = another ? undefined : operators[name]
  if (operator) return operator(...((args as unknown[]).map(decoded) as never[]))
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, decoded(one)]))
}
