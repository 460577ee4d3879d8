import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { EntityBinding } from '../binding/entity-binding'
import { type GivenIds, shardsOfObject } from '../binding/entity-ids'
import { type LoadedFrom, loadedRelation } from '../binding/entity-shards'
import { hiddenKeySource } from '../binding/hidden-key-source'
import { primaryKeyText, rowText } from '../binding/primary-key-text'
import { leadsApart } from '../binding/relation-apart'
import { locateRows, type RowSource } from '../reads/locate-rows'

/** An object, with what is known of its entity. */
interface BoundObject {
  readonly binding: EntityBinding
  readonly entity: ObjectLiteral
}

interface InheritedFrom {
  readonly source: RowSource
  /** Called before all shards are asked for rows. */
  readonly onScatter: (binding: EntityBinding) => void
}

/** What is known of a shard key: the values as entities have them, undefined for a part that is not known. */
type KeyValues = readonly unknown[]

/**
 * The shard keys that objects have from the rows that they refer to inside their colocation group: those rows lie on the same shard, so
 * their keys are equal. An object that has a part of its key of its own keeps that.
 */
export class InheritedKeys {
  /** By the text of a row. */
  private readonly found = new Map<string, KeyValues>()

  constructor(private readonly from: InheritedFrom) {}

  /** Gives an object the parts of its key that it does not have, as far as they are known. */
  fill({ binding, entity }: BoundObject, given: GivenIds): void {
    if (isWhole(ownValues(binding, entity))) return
    if (this.keepsKey({ binding, entity })) return
    const values = this.valuesOf({ binding, entity })
    for (const [index, column] of binding.keyColumns.entries()) {
      const value = values[index]
      if (!isSet(value) || column.getEntityValue(entity) !== undefined) continue
      // What a relation holds has the key; it may get it only as it is saved.
      if (isSet(column.relationMetadata?.getEntityValue(entity))) continue
      given.giveValue(column, entity, value)
    }
  }

  /**
   * Looks for the rows that objects refer to by primary keys alone, and for those of objects that others hang on: one statement a node and
   * entity, in the transaction of the operation.
   *
   * @returns whether any was found
   */
  async find(objects: readonly BoundObject[], holders: readonly BoundObject[] = []): Promise<boolean> {
    const wanted = new Map<EntityBinding, Map<string, ObjectLiteral>>()
    const noteRow = (at: EntityBinding, row: ObjectLiteral): void => {
      if (this.found.has(rowText(at.metadata, row))) return
      const rows = wanted.get(at) ?? new Map<string, ObjectLiteral>()
      wanted.set(at, rows.set(primaryKeyText(at.metadata, row), row))
    }
    const note = ({ binding, entity }: BoundObject, seen: Set<ObjectLiteral>): void => {
      if (seen.has(entity) || isWhole(this.valuesOf({ binding, entity }))) return
      seen.add(entity)
      if (this.originOf(entity) && isKeyed(binding, entity)) noteRow(binding, entity)
      for (const { relation, inverse } of this.parentsOf(binding)) {
        const [parent] = loadedRelation(relation, entity)
        if (parent) note({ binding: inverse, entity: parent }, seen)
        const like = referredBy(relation, entity)
        if (like) noteRow(inverse, like)
      }
    }
    for (const one of [...objects, ...holders]) note(one, new Set())
    for (const one of holders)
      if (isKeyed(one.binding, one.entity) && !isWhole(this.valuesOf(one))) noteRow(one.binding, one.entity)
    for (const [binding, rows] of wanted) await this.findRows(binding, rows)
    return [...wanted].some(([{ metadata }, rows]) =>
      [...rows.values()].some((row) => this.found.has(rowText(metadata, row))),
    )
  }

  private async findRows(binding: EntityBinding, rows: ReadonlyMap<string, ObjectLiteral>): Promise<void> {
    const { source, onScatter } = this.from
    const objects = [...rows.values()]
    if (objects.some((object) => !shardsOfObject(binding, object))) onScatter(binding)
    const located = await locateRows(source, binding, objects)
    for (const [text, row] of rows) {
      const [first, another] = located.get(text) ?? []
      // Two rows of one primary key do not tell which one is meant.
      if (first?.values && !another) this.found.set(rowText(binding.metadata, row), first.values)
    }
  }

  /** Whether an object stands for a row that has its key already, as far as is known: only rows that are inserted get one. */
  keepsKey({ binding, entity }: BoundObject): boolean {
    if (hiddenKeySource(binding.metadata) && this.originOf(entity)) return true
    return isKeyed(binding, entity) && this.found.has(rowText(binding.metadata, entity))
  }

  /** What is known of the key of the row that an object stands for, whatever it refers to now. */
  rowValues({ binding, entity }: BoundObject): KeyValues {
    const known = this.originOf(entity)?.key
    if (known && isWhole(known)) return known
    return (isKeyed(binding, entity) && this.found.get(rowText(binding.metadata, entity))) || []
  }

  /** The key of the row that an object refers to by a relation, as rows of its own entity have it. */
  valuesBy(relation: RelationMetadata, { binding, entity }: BoundObject): KeyValues {
    const inverse = this.from.source.runtime.bindingOf(relation.inverseEntityMetadata.target)
    if (!inverse) return []
    const [parent] = loadedRelation(relation, entity)
    const like = referredBy(relation, entity)
    const found = like && this.found.get(rowText(inverse.metadata, like))
    return converted(found ?? (parent ? this.valuesOf({ binding: inverse, entity: parent }) : []), inverse, binding)
  }

  /** What is known of the key of an object. */
  valuesOf({ binding, entity }: BoundObject, seen: Set<ObjectLiteral> = new Set()): KeyValues {
    const own = ownValues(binding, entity)
    if (isWhole(own) || seen.has(entity)) return own
    seen.add(entity)
    const known: KeyValues[] = [own, this.rowValues({ binding, entity })]
    for (const { relation, inverse } of this.parentsOf(binding)) {
      const [parent] = loadedRelation(relation, entity)
      const like = referredBy(relation, entity)
      if (parent) known.push(converted(this.valuesOf({ binding: inverse, entity: parent }, seen), inverse, binding))
      const found = like && this.found.get(rowText(inverse.metadata, like))
      if (found) known.push(converted(found, inverse, binding))
    }
    return own.map((_, index) => known.map((values) => values[index]).find((value) => value !== undefined))
  }

  private originOf(entity: ObjectLiteral): LoadedFrom | undefined {
    return this.from.source.runtime.entityShards.of(entity)
  }

  /** The relations of an entity to rows of its own shard. */
  private *parentsOf({ metadata }: EntityBinding): Generator<{ relation: RelationMetadata; inverse: EntityBinding }> {
    for (const relation of metadata.relations) {
      if (!relation.isOwning || relation.isManyToMany || leadsApart(relation)) continue
      const inverse = this.from.source.runtime.bindingOf(relation.inverseEntityMetadata.target)
      if (inverse) yield { relation, inverse }
    }
  }
}

/** Whether an object tells the row that it stands for. */
const isKeyed = ({ metadata }: EntityBinding, entity: ObjectLiteral): boolean => metadata.hasAllPrimaryKeys(entity)

interface InheritingRows {
  readonly binding: EntityBinding
  readonly rows: readonly ObjectLiteral[]
  readonly given: GivenIds
}

/** Gives rows that are inserted the shard keys of what they refer to, where they have none. */
export async function inheritKeys(from: InheritedFrom, { binding, rows, given }: InheritingRows): Promise<void> {
  const unkeyed = rows.filter((row) => !isWhole(ownValues(binding, row))).map((entity) => ({ binding, entity }))
  if (unkeyed.length === 0) return
  const inherited = new InheritedKeys(from)
  await inherited.find(unkeyed)
  for (const one of unkeyed) inherited.fill(one, given)
}

const ownValues = ({ keyColumns }: EntityBinding, entity: ObjectLiteral): KeyValues =>
  keyColumns.map((column): unknown => column.getEntityValue(entity))

const isSet = (value: unknown): boolean => value !== undefined && value !== null

const isWhole = (values: KeyValues): boolean => values.length > 0 && values.every((value) => value !== undefined)

/** The primary key of the row that an object refers to; undefined where it refers to none, or not by its primary key. */
function referredBy({ joinColumns, inverseEntityMetadata }: RelationMetadata, entity: ObjectLiteral) {
  const { primaryColumns } = inverseEntityMetadata
  if (joinColumns.length !== primaryColumns.length) return undefined
  const like: ObjectLiteral = {}
  for (const column of joinColumns) {
    const value: unknown = column.getEntityValue(entity)
    const { referencedColumn } = column
    if (!isSet(value) || typeof value === 'function' || !referencedColumn?.isPrimary) return undefined
    referencedColumn.setEntityValue(like, converse(value, column, referencedColumn))
  }
  return like
}

/** Values of one entity's key as another one has them. */
const converted = (values: KeyValues, from: EntityBinding, to: EntityBinding): KeyValues =>
  values.map((value, index) => {
    const [own, other] = [from.keyColumns[index], to.keyColumns[index]]
    return !isSet(value) || !own || !other ? value : converse(value, own, other)
  })

/** A value of one column as another one has it, whose entities may have it in another form. */
function converse(value: unknown, from: ColumnMetadata, to: ColumnMetadata): unknown {
  if (!from.transformer && !to.transformer) return value
  const { driver } = from.entityMetadata.dataSource
  return driver.prepareHydratedValue(driver.preparePersistentValue(value, from), to)
}
