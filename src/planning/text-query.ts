import type { ValueType } from '../query/sort-form'
import { checked, type HeldTable } from './schema-check'
import { type ShippedColumn, shippedText } from './shipped-rows'

export const columnsOf = (names: readonly string[], types: readonly ValueType[]): readonly ShippedColumn[] =>
  names.flatMap((name, index) => {
    const type = types[index]
    return type ? [{ name, type }] : []
  })

/** What the columns are called in a query of texts. */
export const textNames = (width: number): readonly string[] => Array.from({ length: width }, (_, index) => `c${index}`)

/** A query whose columns are `c0 …` as texts. @param tables of which it names all columns */
export function textsOf(text: string, types: readonly ValueType[], tables: readonly HeldTable[] = []): string {
  const names = textNames(types.length)
  return `SELECT ${textOutputs(names, types, tables)} FROM (${text}) AS q(${names.join(', ')})`
}

/** The columns of `q` as texts, with a check of what is known of them. */
export function textOutputs(
  names: readonly string[],
  types: readonly (ValueType | undefined)[],
  tables: readonly HeldTable[],
): string {
  const expressions = names.map((name, index) => [`q.${name}`, types[index]] as const)
  const values = expressions.map(([sql, type], index) => {
    const text = shippedText(sql, type)
    return `${index === 0 ? checked(text, 'text', { expressions, tables }) : text} AS ${names[index]}`
  })
  return values.join(', ')
}
