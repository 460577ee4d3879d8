import type { KeyType, TypeModifiers } from '../values/key-type'
import type { EntityTarget } from './sharded-options'

/** What the checks need to know of an entity: plain data, made from the ORM's metadata by the layer that knows the ORM. */
export interface EntityDescription {
  readonly name: string
  readonly target: EntityTarget
  /** The root of single-table inheritance, where the entity is a child of one. */
  readonly parent?: EntityTarget
  readonly schema: string | undefined
  readonly tableName: string
  readonly columns: readonly ColumnDescription[]
  readonly uniques: readonly UniqueDescription[]
  readonly relations: readonly RelationDescription[]
  /** The relation to the parent in a tree that TypeORM keeps. */
  readonly treeParent?: string
}

export interface ColumnDescription {
  readonly propertyPath: string
  readonly propertyName: string
  /** The class whose body declares the property (an embedded or a base class too), or the name of an entity schema. */
  readonly declaredOn: EntityTarget
  /** The relation whose join column this is. */
  readonly relationProperty: string | undefined
  readonly type: string
  /** undefined: no sharding function takes columns of this type. */
  readonly keyType: KeyType | undefined
  /** What its declaration says behind the name of its type. */
  readonly modifiers?: TypeModifiers
  readonly isPrimary: boolean
  /** Who decides on the stored value in place of the object that is written, as words for an error; undefined: nobody. */
  readonly writtenBy?: string | undefined
  readonly isNullable?: boolean
  readonly generation: 'increment' | 'uuid' | 'rowid' | 'identity' | undefined
}

export interface UniqueDescription {
  readonly name: string
  readonly properties: readonly string[]
}

/** The side of a relation that has the foreign key; of a many-to-many, the one that has the junction table. */
export interface OwningSide {
  /** Whether the database checks that what is referred to is there. */
  readonly isChecked: boolean
  /** Properties of the foreign key, and those of the other entity that they refer to; none for a many-to-many. */
  readonly joins: readonly { readonly own: string; readonly referenced: string }[]
  /** Of a many-to-many: the properties that the junction table refers to, of this entity and of the other one. */
  readonly linked?: { readonly own: readonly string[]; readonly other: readonly string[] }
  /** What the database does to the foreign key when what it refers to is deleted or changed. */
  readonly actions?: readonly string[]
}

export interface RelationDescription {
  readonly property: string
  readonly inverse: EntityTarget
  readonly inverseName: string
  /** The relation of the other entity that is the same one from its side; undefined where that has none. */
  readonly inverseProperty?: string
  readonly isManyToMany: boolean
  /** What its own side refers to and how, where that is the side; undefined for the other side. */
  readonly owning?: OwningSide
}
