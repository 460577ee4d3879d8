import type { EntityBinding } from '../binding/entity-binding'

/**
 * Whether a save can move a row of the entity, where that is declared. TypeORM takes a new primary key for another entity, and
 * does not write a column with `update: false`.
 */
const savesMove = ({ entity, keyColumns }: EntityBinding): boolean =>
  !entity.primaryKeyHoldsShardKey && keyColumns.every(({ isUpdate }) => isUpdate)

/** Whether a save of another shard key moves a row of the entity. */
export const isMovedBySave = (binding: EntityBinding): boolean =>
  binding.entity.onKeyChange === 'move' && savesMove(binding)

/** Of a refused key, where to declare that saves move is none. */
export const wayOutOf = (binding: EntityBinding): { readonly fix?: string } =>
  savesMove(binding) ? {} : { fix: 'Move the row with repository.move(entity, newKey).' }
