import { type LookupArgs, lookupArgsStorage } from './lookup-args-storage'

/** On a class or on a property, as TypeORM's `@Unique`. */
export type LookupDecorator = (target: object, propertyName?: string | symbol) => void

/** The decorator of a lookup: on a property it means that one, on a class the properties that are listed. */
export function lookupDecorator(
  properties: readonly string[],
  { isUnique, name }: Pick<LookupArgs, 'isUnique' | 'name'>,
): LookupDecorator {
  return (target, propertyName) => {
    const isMark = propertyName !== undefined
    declareLookup({
      target: isMark ? target.constructor : target,
      properties: isMark ? [String(propertyName)] : properties,
      isMark,
      isUnique,
      name,
    })
  }
}

/** Leaves a declaration; what the decorators and the helper for `EntitySchema` share. */
export function declareLookup(args: LookupArgs): void {
  lookupArgsStorage().push(Object.freeze({ ...args, properties: Object.freeze([...args.properties]) }))
}
