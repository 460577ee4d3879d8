import type { ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'

/** A relation of an object, and what it is to hold for a while. */
export interface ReplacedRelation {
  readonly entity: ObjectLiteral
  readonly relation: RelationMetadata
  /** An object, a list of objects, or the key of one. undefined: it is taken away. */
  readonly value: unknown
}

/** Sets what objects have in relations; TypeORM's own setter would merge it into what is there. @returns undoes it */
export function replaceRelations(replaced: readonly ReplacedRelation[]): () => void {
  const undo = replaced.map(({ entity, relation: { embeddedMetadata, isLazy, propertyName }, value }) => {
    const path = embeddedMetadata?.parentPropertyNames ?? []
    const holder = path.reduce<ObjectLiteral>((object, name) => Object(object[name]), entity)
    const names = isLazy ? [`__${propertyName}__`, `__has_${propertyName}__`] : [propertyName]
    const before = names.map((name) => [name, Object.hasOwn(holder, name), holder[name]] as const)
    // A property that is taken away and set again would come last.
    for (const [name, isThere] of before) if (isThere) holder[name] = undefined
    if (value !== undefined && names[0] !== undefined) holder[names[0]] = value
    return () => {
      for (const [name, isThere, held] of before)
        if (isThere) holder[name] = held
        else delete holder[name]
    }
  })
  return () => {
    for (const one of undo) one()
  }
}
