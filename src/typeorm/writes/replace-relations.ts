import type { ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'

/** A relation of an object, and what it is to hold for a while. */
export interface ReplacedRelation {
  readonly entity: ObjectLiteral
  readonly relation: RelationMetadata
  /** undefined: it is taken away. */
  readonly value: ObjectLiteral | readonly ObjectLiteral[] | undefined
}

/** Sets what objects have in relations; TypeORM's own setter would merge it into what is there. @returns undoes it */
export function replaceRelations(replaced: readonly ReplacedRelation[]): () => void {
  const undo = replaced.map(({ entity, relation: { embeddedMetadata, isLazy, propertyName }, value }) => {
    const path = embeddedMetadata?.parentPropertyNames ?? []
    const holder = path.reduce<ObjectLiteral>((object, name) => Object(object[name]), entity)
    const names = isLazy ? [`__${propertyName}__`, `__has_${propertyName}__`] : [propertyName]
    const before = Object.fromEntries(
      names.filter((name) => Object.hasOwn(holder, name)).map((name) => [name, holder[name]]),
    )
    for (const name of names) delete holder[name]
    if (value !== undefined && names[0] !== undefined) holder[names[0]] = value
    return () => {
      for (const name of names) delete holder[name]
      Object.assign(holder, before)
    }
  })
  return () => {
    for (const one of undo) one()
  }
}
