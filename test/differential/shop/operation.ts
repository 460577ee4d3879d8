import { Equal, ILike, In, IsNull, LessThan, MoreThan, MoreThanOrEqual, Not } from 'typeorm'

/** Plain data, so that it can be printed, kept and made smaller. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

/** Options of a find. An operator is `{ $op, of }`, a time `{ $date }`. */
export type Find = JsonObject

export interface Join {
  /** `alias.property`, of an alias before it. */
  readonly path: string
  readonly alias: string
  readonly isInner: boolean
  readonly isSelected: boolean
}

export interface Condition {
  readonly column: string
  readonly operator: string
  readonly value: Json
}

/** One thing that is asked of the shop. Each is done on the rows of the seed, and undone. */
export type ShopOperation =
  | { readonly do: 'find'; readonly entity: string; readonly get: Getter; readonly options: Find }
  | {
      readonly do: 'build'
      readonly entity: string
      readonly joins: readonly Join[]
      readonly where: readonly Condition[]
      readonly order: readonly (readonly [column: string, direction: 'ASC' | 'DESC'])[]
      readonly page: JsonObject
      readonly get: 'getMany' | 'getManyAndCount' | 'getCount' | 'getRawMany' | 'getExists'
    }
  | { readonly do: 'lazy'; readonly entity: string; readonly key: JsonObject; readonly relation: string }
  | { readonly do: 'save'; readonly entity: string; readonly objects: readonly JsonObject[] }
  /** Saves what it gives, too. */
  | { readonly do: 'preload'; readonly entity: string; readonly object: JsonObject }
  | {
      /** Loads a row with relations, changes the object, and saves it. */
      readonly do: 'change'
      readonly entity: string
      readonly key: JsonObject
      readonly relations: readonly string[]
      readonly set: JsonObject
      /** How many objects leave each list, from its beginning. */
      readonly dropped: Readonly<Record<string, number>>
      readonly added: Readonly<Record<string, readonly JsonObject[]>>
      /** Loads the primary key alone. */
      readonly isBare?: boolean
    }
  | {
      readonly do: 'remove' | 'softRemove'
      readonly entity: string
      readonly key: JsonObject
      readonly relations: readonly string[]
    }
  | { readonly do: 'delete' | 'softDelete'; readonly entity: string; readonly where: JsonObject }
  | { readonly do: 'update'; readonly entity: string; readonly where: JsonObject; readonly set: JsonObject }

export type Getter = 'find' | 'findAndCount' | 'findOne' | 'count' | 'exists'

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const operators: Readonly<Record<string, (of: unknown) => unknown>> = {
  Equal,
  ILike: (of) => ILike(String(of)),
  In: (of) => In(Array.isArray(of) ? of : [of]),
  IsNull,
  LessThan,
  MoreThan,
  MoreThanOrEqual,
  Not,
}

/**
 * What the data stands for: operators of TypeORM, times, and as `{ $up: 1 }` the object that holds the one that it is part of.
 *
 * @param above the objects that the value is part of, the innermost first
 */
export function decoded(value: Json, above: readonly object[] = []): unknown {
  if (Array.isArray(value)) return value.map((one: Json) => decoded(one, above))
  if (!isObject(value)) return value
  if ('$date' in value) return new Date(String(value['$date']))
  if ('$up' in value) return held(above[Number(value['$up'])])
  if ('$op' in value) {
    const operator = operators[String(value['$op'])]
    if (!operator) throw new Error(`There is no operator ${String(value['$op'])}.`)
    return operator(decoded(value['of'] ?? null))
  }
  const object: Record<string, unknown> = {}
  for (const [name, one] of Object.entries(value)) object[name] = decoded(one, [object, ...above])
  return object
}

function held(object: object | undefined): object {
  if (!object) throw new Error('There is no object above.')
  return object
}
