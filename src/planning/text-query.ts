import { type ShippedColumn, shippedText } from './shipped-rows'
import type { ValueType } from './sort-form'

export const columnsOf = (names: readonly string[], types: readonly ValueType[]): readonly ShippedColumn[] =>
  names.flatMap((name, index) => {
    const type = types[index]
    return type ? [{ name, type }] : []
  })

/** What the columns are called in a query of texts. */
export const textNames = (width: number): readonly string[] => Array.from({ length: width }, (_, index) => `c${index}`)

/** A query whose columns are `c0 …` as texts. */
export function textsOf(text: string, types: readonly ValueType[]): string {
  const names = textNames(types.length)
  const values = names.map((name, index) => `${shippedText(`q.${name}`, types[index])} AS ${name}`)
  return `SELECT ${values.join(', ')} FROM (${text}) AS q(${names.join(', ')})`
}
